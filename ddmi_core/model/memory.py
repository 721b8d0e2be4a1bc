"""The memory that training requires at least, and its comparison with what there is, before any training."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import torch
from attrs import frozen
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from ddmi_core.allowance import free_memory
from ddmi_core.blocks import Block, blocks
from ddmi_core.errors import ConfigError
from ddmi_core.out_of_memory import GENERAL, OutOfMemoryError, size
from ddmi_core.training import distributed
from ddmi_core.training.checkpoint import FINAL, SNAPSHOT
from ddmi_core.training.config import TrainingConfig

STATE = 20  # bytes a parameter: weights, gradients, two moments and the moving average, with 32 bits each
_GRADIENTS = 4  # of them, which are not there as long as all activations are
SPARE = 1.1  # what is required at least may exceed what is free by this factor, since other programs may end


@frozen
class StageMemory:
    """What one stage of training keeps in memory.

    Args:
        key: section of its settings: `autoencoder` or `diffusion`.
        training: its settings.
        parameters: that are trained.
        activations: bytes that one, and that two signals keep for the gradients, with 32 bits a number; zeros if
            unknown.
    """

    key: str
    training: TrainingConfig
    parameters: int
    activations: tuple[int, int] = (0, 0)

    @property
    def signals(self) -> int:
        """Signals in memory at once, in one process."""
        processes = distributed.count()
        return max(1, self.training.batch // (self.training.parts(processes) * processes))

    @property
    def state(self) -> int:
        """Bytes of weights, gradients, moments and average."""
        return STATE * self.parameters // (distributed.count() if self.training.shard else 1)

    @property
    def kept(self) -> int:
        """Bytes that all signals in memory keep for the gradients, at least: reduced precision halves most."""
        one, two = self.activations
        each = max(0, min(two - one, two // 2))
        return (one + (self.signals - 1) * each) // (1 if self.training.precision == "fp32" else 2)

    @property
    def least(self) -> int:
        """Bytes that a step requires, beside libraries, temporary values and data.

        All activations are there at the end of the forward pass, and all gradients at the end of the backward pass.
        """
        return max(self.state, self.state * (STATE - _GRADIENTS) // STATE + self.kept)


def check_fits(stages: Iterable[StageMemory], free: int, device: torch.device) -> None:
    """Refuse stages that require more memory than there is.

    Args:
        stages: of the training.
        free: bytes, of `free_on`.
        device: that trains.

    Raises:
        ConfigError: names the stage, what it requires and what there is, and the settings to lower.
    """
    for stage in stages:
        if stage.least > SPARE * free:
            of_signals = f" and {stage.signals} signals at once {size(stage.kept)}" if stage.kept else ""
            raise ConfigError(
                f"the training of the {stage.key} requires at least {size(stage.least)} of memory: weights, gradients "
                f"and moments {size(stage.state)}{of_signals}; {_name(device)} has {size(free)} free. "
                f"Fix: {to_lower(stage.key, stage.training, stage.kept > stage.state)}",
                stage.key,
            )


def check_loads(stages: Iterable[Path], device: torch.device) -> None:
    """Refuse to load the weights of stages that require more memory than there is.

    Args:
        stages: folders of the stages.
        device: of the model; weights come to the CPU first.

    Raises:
        OutOfMemoryError: with what they require and what there is.
    """
    weights = [stage / FINAL / f"{group}.safetensors" for stage in stages for group in ("weights", SNAPSHOT)]
    needed = sum(path.stat().st_size for path in weights if path.exists())
    for place in dict.fromkeys((torch.device("cpu"), device)):
        if needed > SPARE * (free := free_on(place)):
            raise OutOfMemoryError(
                f"out of memory in the loading of the model: its weights require {size(needed)}; {_name(place)} has "
                f"{size(free)} free. Fix: {GENERAL}"
            )


def to_lower(key: str, training: TrainingConfig, activations: bool = True) -> str:
    """The settings that lower the memory of a stage, of which those that would have no effect are left out.

    Args:
        key: section of its settings.
        training: its settings.
        activations: whether activations may be what takes the memory.
    """
    ways = []
    if activations and (parts := next((n for n in range(2, training.batch + 1) if _more(n, training)), 0)):
        ways.append(f"--set {key}.training.accumulation={parts}, which halves the signals in memory, or more")
    if activations and not training.gradient_checkpointing:
        ways.append(f"--set {key}.training.gradient_checkpointing=true")
    if activations and training.batch > 1:
        ways.append(f"a smaller {key}.training.batch")
    widths = "denoiser.width" if key == "diffusion" else "encoder.widths and decoder.widths"
    ways.append(f"smaller {key}.{widths}")
    if key == "diffusion" and not training.shard:
        ways.append("several processes with --set diffusion.training.shard=true")
    return f"{', or '.join(ways)}; ddmi doctor --plugin NAME, with the same --preset and --set, estimates the memory"


def in_new_run(key: str, training: TrainingConfig) -> str:
    """The settings that lower the memory of a stage that has started."""
    return f"{to_lower(key, training)}. --resume keeps the settings, so start a new run with other ones"


def _more(parts: int, training: TrainingConfig) -> bool:
    return training.batch % parts == 0 and parts >= 2 * training.accumulation


def _name(device: torch.device) -> str:
    return "this machine" if device.type == "cpu" else f"the GPU {torch.cuda.get_device_name(device)}"


def free_on(device: torch.device) -> int:
    """Free bytes for this process on a device; of the CPU with the swap space."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0]) + torch.cuda.memory_reserved(device)
    return free_memory() + int(psutil.swap_memory().free)


def kept_by(loss: Callable[[], object], network: nn.Module, recompute: bool) -> int:
    """Bytes that the forward pass of a loss keeps for the gradients, beside the network's parameters.

    Args:
        loss: runs the forward pass.
        network: all parameters.
        recompute: whether its blocks compute their activations again; see `Kept.outside`.
    """
    kept = Kept({parameter.untyped_storage()._cdata for parameter in network.parameters()})
    saved = torch.autograd.graph.saved_tensors_hooks(kept.keep, lambda tensor: tensor)
    with kept.outside(blocks(network) if recompute else ()), saved:
        loss()
    return kept.bytes


class Kept:
    """What a forward pass keeps for the gradients.

    Args:
        weights: identifiers of storages that do not count.
        operations: counts those so far.
    """

    def __init__(self, weights: set[int], operations: Callable[[], int] = lambda: 0) -> None:
        self.weights, self.operations = weights, operations
        # The storages themselves, so that no identifier is used twice.
        self.storages: dict[int, torch.UntypedStorage] = {}
        self.outer = self.storages
        self.largest = self.again = self.before = 0

    @property
    def bytes(self) -> int:
        """All that is kept, with the largest block that computes its activations again."""
        return _bytes(self.storages) + self.largest

    def keep(self, tensor: Tensor) -> Tensor:
        """Count the storage of a tensor."""
        storage = tensor.untyped_storage()
        if storage._cdata not in self.weights:
            self.storages[storage._cdata] = storage
        return tensor

    @contextmanager
    def outside(self, recomputed: Iterable[Block]) -> Iterator[None]:
        """Count blocks that compute their activations again: the inputs of each, and their operations once more."""
        hooks = []
        for block in recomputed:
            hooks += [
                block.register_forward_pre_hook(self._enter, with_kwargs=True),
                block.register_forward_hook(self._leave),
            ]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _enter(self, block: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any]) -> None:
        if torch.is_grad_enabled():
            for tensor in tree_leaves((inputs, named)):
                if isinstance(tensor, Tensor):
                    self.keep(tensor)
            self.outer, self.storages, self.before = self.storages, dict(self.storages), self.operations()

    def _leave(self, block: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        if torch.is_grad_enabled():
            self.largest = max(self.largest, _bytes(self.storages) - _bytes(self.outer))
            self.again += self.operations() - self.before
            self.storages = self.outer


def _bytes(storages: Mapping[int, torch.UntypedStorage]) -> int:
    return sum(storage.nbytes() for storage in storages.values())
