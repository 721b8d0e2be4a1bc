"""Parts of networks that are compiled, divided among processes, and computed again in the backward pass."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint


class Block(nn.Module):
    """A part of a network that may compute its activations again instead of keeping them (arXiv 1604.06174, section 4).

    A subclass has tensors for inputs and outputs, and is called itself, not by another of its methods. Its `forward`
    is compiled by itself with `training.compile`, and called twice in a training step with
    `training.gradient_checkpointing`, so it changes no state that it also reads. Values and gradients stay the same.

    Attributes:
        recomputes: whether it keeps its inputs alone, and computes the rest again in the backward pass.
    """

    recomputes: bool = False

    def __call__(self, *inputs: Any, **named: Any) -> Any:
        """What `forward` returns."""
        if self.recomputes and torch.is_grad_enabled():
            return checkpoint(super().__call__, *inputs, use_reentrant=False, **named)
        return super().__call__(*inputs, **named)


def blocks(network: nn.Module) -> Iterator[Block]:
    """Yield the outermost blocks of a network; blocks within them are computed again with them."""
    if isinstance(network, Block):
        yield network
    else:
        for child in network.children():
            yield from blocks(child)
