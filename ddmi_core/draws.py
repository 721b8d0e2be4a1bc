"""Random numbers of a training step that depend on the place of a signal in the batch, not on how it is divided."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import torch
from torch import Tensor

BLOCK = 8  # rows that are drawn together; another number gives other random numbers

Draw = Callable[[int, torch.Generator], Tensor]


class BatchGenerator(torch.Generator):
    """The generator of one part of a step's batch.

    `per_row` and `shared` draw numbers with it that are the same for any number of processes and parts. Functions of
    torch also take it; its own numbers differ between parts.

    Args:
        first: place of the part's first signal in the batch.
        purpose: what the numbers depend on, besides the place: seed, stage, step.
        device: of the generator, and of what it draws.
    """

    def __new__(cls, first: int, *purpose: str | int, device: torch.device | str = "cpu") -> BatchGenerator:
        """Create a generator on the device."""
        return super().__new__(cls, device)  # type: ignore[call-arg]

    def __init__(self, first: int, *purpose: str | int, device: torch.device | str = "cpu") -> None:
        self.first, self.purpose, self.calls = first, purpose, 0
        self.common = torch.Generator(device).manual_seed(seed_of(*purpose, "shared"))
        self.manual_seed(seed_of(*purpose, "part", first))

    def rows(self, count: int, draw: Draw) -> Tensor:
        """See `per_row`."""
        # The block's numbers depend on the block and the number of the call alone.
        blocks = range(self.first // BLOCK, -(-(self.first + count) // BLOCK))
        seeds = [seed_of(*self.purpose, self.calls, block) for block in blocks]
        self.calls += 1
        drawn = [draw(BLOCK, torch.Generator(self.device).manual_seed(seed)) for seed in seeds]
        start = self.first % BLOCK
        return torch.cat(drawn)[start : start + count]


def per_row(generator: torch.Generator, count: int, draw: Draw) -> Tensor:
    """Random numbers `(count, ...)`, a row for each signal of a batch.

    In training, a signal then gets the same numbers however many processes and parts share the step. The calls of a
    step must not depend on the signals.

    Args:
        generator: that training passes, or any other.
        count: signals in the batch.
        draw: function `(rows, generator) -> (rows, ...)`, whose rows are independent.

    Example:
        >>> generator = torch.Generator().manual_seed(0)
        >>> per_row(generator, 3, lambda rows, g: torch.rand(rows, 2, generator=g, device=g.device)).shape
        torch.Size([3, 2])
    """
    return generator.rows(count, draw) if isinstance(generator, BatchGenerator) else draw(count, generator)


def normal_like(values: Tensor, generator: torch.Generator | None) -> Tensor:
    """Standard normal numbers with the shape, type and device of values `(B, ...)`, drawn on the generator's device."""

    def draw(rows: int, source: torch.Generator | None) -> Tensor:
        device = None if source is None else source.device
        return torch.randn(rows, *values.shape[1:], generator=source, dtype=values.dtype, device=device)

    drawn = draw(len(values), None) if generator is None else per_row(generator, len(values), draw)
    return drawn.to(values.device)


def shared(generator: torch.Generator) -> torch.Generator:
    """The generator of numbers that all signals of a batch share: in training, equal in all processes and parts."""
    return generator.common if isinstance(generator, BatchGenerator) else generator


def seed_of(*purpose: str | int) -> int:
    """A seed that depends on the purpose alone, the same on every machine."""
    digest = hashlib.sha256("/".join(map(str, purpose)).encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") >> 1
