"""Training objectives, and the random generators and batch order that depend on seed and step alone."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from attrs import frozen
from torch import Tensor, nn

from ddmi_core.draws import seed_of


@frozen
class StepContext:
    """Inputs of one training step, or of one part of it; all randomness of the step comes from its generator."""

    step: int
    indices: tuple[int, ...]  # of the items in the batch
    generator: torch.Generator  # on the device, or on the CPU if the batch is still to be read
    device: torch.device
    batch: Any = None  # what `Objective.read` returned for the indices; `None` to read it in the step


@frozen(eq=False)
class Losses:
    """The loss to minimise, and its named parts for the log."""

    total: Tensor  # scalar
    parts: tuple[tuple[str, Tensor], ...] = ()


class Objective(nn.Module, ABC):
    """A module whose `forward` computes the loss of one training step.

    Attributes:
        trained: the module whose weights are optimised, averaged and saved.
        size: number of items to draw batches from.
        start: first step that trains it.
        rate: learning rate, relative to the configured one.
    """

    trained: nn.Module
    size: int
    start: int = 0
    rate: float = 1.0

    def read(self, step: int, indices: Sequence[int], generator: torch.Generator) -> Any:
        """What `forward` needs of the items and draws on the CPU: tensors, in tuples or attrs instances.

        It depends on its arguments alone, so that it may be called ahead of the step and in another process.

        Args:
            step: for which it is read.
            indices: of the items.
            generator: on the CPU; another one than that of `forward`.
        """

    def name_of(self, index: int) -> str:
        """Name of an item, for errors."""
        return f"item {index}"

    def batch(self, context: StepContext) -> Any:
        """What was read for a step, or is read now, on the CPU or on the step's device."""
        if context.batch is not None:
            return context.batch
        return self.read(context.step, context.indices, context.generator)

    @abstractmethod
    def forward(self, context: StepContext) -> Losses:
        """Loss of one step."""


def generator_for(seed: int, *purpose: str | int) -> torch.Generator:
    """A CPU generator whose state depends on the seed and the purpose alone.

    Each step seeds its own generator from `(seed, step)`, so a resumed run needs no stored random state.
    """
    return torch.Generator().manual_seed(seed_of(seed, *purpose))


def indices_for(seed: int, step: int, size: int, batch: int) -> tuple[int, ...]:
    """Indices of one step, of all processes: each epoch is a permutation, split into batches.

    A batch may span two epochs, so every item is drawn equally often.
    """
    first = step * batch
    chosen = []
    for epoch in range(first // size, (first + batch - 1) // size + 1):
        low, high = max(first - epoch * size, 0), min(first + batch - epoch * size, size)
        chosen.extend(_order(seed, epoch, size)[low:high].tolist())
    return tuple(chosen)


@lru_cache(maxsize=4)  # two epochs of two objectives
def _order(seed: int, epoch: int, size: int) -> Tensor:
    return torch.randperm(size, generator=generator_for(seed, "order", epoch))
