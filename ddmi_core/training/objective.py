"""What a trainer trains: a module that turns a step into a loss."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable

import torch
from attrs import frozen
from torch import Tensor, nn


@frozen
class Moment:
    """One step as an objective sees it; all randomness of the step comes from its generator."""

    step: int
    indices: tuple[int, ...]
    generator: torch.Generator
    device: torch.device


@frozen(eq=False)
class Losses:
    """The loss that is minimised, with the named parts that are logged."""

    total: Tensor  # scalar
    parts: tuple[tuple[str, Tensor], ...] = ()


class Objective(nn.Module, ABC):
    """A module whose `forward` gives the loss of a step.

    Attributes:
        trained: the module whose weights are optimised, averaged and saved.
        size: number of items that indices are drawn from.
        start: step at which it joins the training.
        rate: learning rate relative to the configuration's.
    """

    trained: nn.Module
    size: int
    start: int = 0
    rate: float = 1.0

    def compiled_parts(self) -> Iterable[nn.Module]:
        """Modules that `training.compile` compiles, each called through its `forward`."""
        return (self.trained,)

    @abstractmethod
    def forward(self, moment: Moment) -> Losses:
        """Loss of one step."""


def generator_for(seed: int, *purpose: str | int) -> torch.Generator:
    """A CPU generator that depends on the seed and the purpose alone.

    A step's random numbers come from `(seed, step)`, so a resumed run needs no stored random state.
    """
    text = "/".join(map(str, (seed, *purpose)))
    value = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
    return torch.Generator().manual_seed(value)


def indices_for(seed: int, step: int, size: int, batch: int, rank: int = 0, processes: int = 1) -> tuple[int, ...]:
    """Indices of a step: epochs are permutations, cut into batches of all processes together.

    A batch may span two epochs, so that every item is drawn equally often.
    """
    together = batch * processes
    first = step * together + rank * batch
    chosen = []
    for epoch in range(first // size, (first + batch - 1) // size + 1):
        order = torch.randperm(size, generator=generator_for(seed, "order", epoch))
        low, high = max(first - epoch * size, 0), min(first + batch - epoch * size, size)
        chosen.extend(order[low:high].tolist())
    return tuple(chosen)
