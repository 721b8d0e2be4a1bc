"""Weights, gradients and moments that are divided among processes (FSDP2, arXiv 2304.11277)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ddmi_core.blocks import blocks
from ddmi_core.training import distributed
from ddmi_core.training.objective import Objective


def shard(objective: Objective, device: torch.device) -> bool:
    """Divide the trained weights of an objective among all processes; returns whether there are several.

    The weights of a block of the network are gathered when it is called, and the rest when the objective is.
    """
    if distributed.count() == 1:
        return False
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh(device.type, (distributed.count(),))
    for block in blocks(objective.trained):
        fully_shard(block, mesh=mesh)
    fully_shard(objective, mesh=mesh)
    return True


def local(tensor: Tensor) -> Tensor:
    """What this process holds of a tensor."""
    from torch.distributed.tensor import DTensor

    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def whole(tensor: Tensor) -> Tensor:
    """The whole of a tensor; if it is divided, every process calls this in the same order."""
    from torch.distributed.tensor import DTensor

    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def gathered(groups: Mapping[str, Mapping[str, Tensor]]) -> dict[str, dict[str, Tensor]]:
    """Whole tensors in the memory of the CPU, gathered one after the other by all processes; the first one keeps them.

    Args:
        groups: the same names in every process.
    """
    found: dict[str, dict[str, Tensor]] = {}
    for group, tensors in groups.items():
        for name, tensor in tensors.items():
            full = whole(tensor)
            if distributed.is_main():
                found.setdefault(group, {})[name] = full.detach().to("cpu", copy=True)
    return found


def divided(tensor: Tensor, like: Tensor) -> Tensor:
    """A whole tensor, in the memory of every process, divided as another one of its shape is."""
    from torch.distributed.tensor import DTensor
    from torch.distributed.tensor._utils import compute_local_shape_and_global_offset

    if not isinstance(like, DTensor) or tensor.shape != like.shape:
        return tensor
    shape, offset = compute_local_shape_and_global_offset(like.shape, like.device_mesh, like.placements)
    own = tensor[tuple(slice(first, first + size) for first, size in zip(offset, shape, strict=True))]
    own = own.to(like.device, like.dtype).contiguous()
    return DTensor.from_local(
        own, like.device_mesh, like.placements, run_check=False, shape=like.shape, stride=like.stride()
    )
