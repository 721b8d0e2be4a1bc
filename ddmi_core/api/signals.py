"""Signals and what is asked of them: sets of signals, splits, and queries with targets."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, TypeVar

import attrs
import torch
from attrs import field, frozen
from torch import Tensor

from ddmi_core.sources.splits import held_out

T = TypeVar("T")


def _alike() -> Tensor:
    """Weights for points that count alike."""
    return torch.ones(1, 1)


@frozen(eq=False)
class Queries:
    """Coordinates with the values that a field should show there.

    A domain whose measurements are not plain values (rays, for example) subclasses it, with
    `@frozen(eq=False, kw_only=True)`, by tensors that have B first.
    """

    coords: Tensor  # (B, N, D), in [-1, 1]
    extra: Tensor  # (B, N, X), X >= 0
    targets: Tensor  # (B, N, V)
    patch: tuple[int, ...] = ()  # if not empty, the N points are a regular patch of this shape, slowest axis first
    weights: Tensor = field(factory=_alike)  # (B, N), or what broadcasts to it: weight of each point in the loss


class SignalSet(ABC):
    """An indexed set of signals of one domain, with names and, where known, classes.

    Attributes:
        names: one name a signal, unique.
        classes: names of the classes; empty for data without classes.
        labels: `(len,)`, integers: the class of each signal, zeros where there are no classes.
        captions: for each signal what it is in words, one or more sentences; empty for data without captions.
    """

    names: Sequence[str]
    classes: tuple[str, ...]
    labels: Tensor
    captions: Sequence[Sequence[str]] = ()

    def __len__(self) -> int:
        """Number of signals."""
        return len(self.names)

    @abstractmethod
    def batch(self, indices: Sequence[int], generator: torch.Generator | None = None) -> Any:
        """Signals at the indices, as one signal with B = len(indices).

        Args:
            indices: which signals.
            generator: if given, the signals are augmented with random numbers drawn from it; without it
                the result depends on the indices alone.
        """

    @abstractmethod
    def fingerprint(self) -> str:
        """Hexadecimal digest of the contents; equal sets have equal fingerprints on every machine."""


class DivisibleSet(SignalSet):
    """A set that gives parts of itself, and so can hold some signals out."""

    @abstractmethod
    def part(self, indices: Sequence[int]) -> SignalSet:
        """Some signals of the set, in the order of the indices, sharing what they can."""

    def split(self, share: float, keys: Sequence[str] | None = None) -> Split:
        """Hold out the signals whose key's hash falls into a share.

        Args:
            share: held-out share, in (0, 1).
            keys: one a signal, the names if left out; equal keys stay together.
        """
        train, held = held_out(self.names if keys is None else keys, share)
        return Split(train=self.part(train), held_out=self.part(held))


@frozen(eq=False)
class Split:
    """Signals to train on, and signals that training never sees."""

    train: SignalSet
    held_out: SignalSet

    def fingerprint(self) -> str:
        """Hexadecimal digest of the training and the held-out signals together."""
        return f"{self.train.fingerprint()[:32]}{self.held_out.fingerprint()[:32]}"


def move(item: T, device: torch.device) -> T:
    """A copy of a tensor, of a tuple of them, or of an attrs instance holding them, on a device."""
    moved: Any = item
    if isinstance(item, Tensor):
        moved = item.to(device)
    elif isinstance(item, tuple):
        moved = type(item)(move(part, device) for part in item)
    elif attrs.has(type(item)):
        names = [part.name for part in attrs.fields(type(item)) if part.init]  # type: ignore[arg-type]
        moved = attrs.evolve(moved, **{name: move(getattr(item, name), device) for name in names})
    result: T = moved
    return result
