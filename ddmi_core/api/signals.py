"""Sets of signals, training splits, and queries with targets."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from attrs import field, frozen
from torch import Tensor

from ddmi_core.sources.account import Account
from ddmi_core.sources.splits import held_out, split_folders


def _uniform() -> Tensor:
    """Equal weights of all points."""
    return torch.ones(1, 1)


@frozen(eq=False)
class Queries:
    """Coordinates, with the target values of a field.

    A domain whose measurements are not point values (e.g. pixel colours along rays) adds tensors, whose first
    dimension is B, in a subclass with `@frozen(eq=False, kw_only=True)`.
    """

    coords: Tensor  # (B, N, D), in [-1, 1]
    extra: Tensor  # (B, N, X), X >= 0
    targets: Tensor  # (B, N, V)
    patch: tuple[int, ...] = ()  # if not empty, the N points are a regular patch of this shape, slowest axis first
    # (B, N), or 1 in place of B or N: relative weight of each point in the loss, >= 0. A point of weight 0 has no
    # influence, and is not a known place; its target may be any finite number.
    weights: Tensor = field(factory=_uniform)


class SignalSet(ABC):
    """An indexed set of signals of one domain, with names and, where known, classes.

    Attributes:
        names: unique names, one per signal.
        classes: names of the classes; empty for data without classes.
        labels: `(len,)`, integers: the class of each signal; zeros for data without classes.
        captions: one or more sentences that describe each signal; empty for data without captions.
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
        """Signals at the indices, as one batch with B = len(indices).

        Args:
            indices: which signals.
            generator: if given, augments the signals with random numbers from it, best by `per_row` and `shared`;
                otherwise the result depends on the indices alone.
        """

    @abstractmethod
    def fingerprint(self) -> str:
        """Hexadecimal digest of the contents, the same on every machine."""


class DivisibleSet(SignalSet):
    """A set that can be divided into training and held-out signals."""

    @abstractmethod
    def part(self, indices: Sequence[int]) -> SignalSet:
        """The subset at the indices, in their order; shares data with this set if possible."""

    def split(self, share: float, keys: Sequence[str] | None = None) -> Split:
        """Hold out a share of the signals, selected by a hash of their keys.

        If all names begin with `train/` or with `test/` (`val/`, `valid/`, `validation/`, `dev/`), and there are both,
        the latter are held out instead.

        Args:
            share: held-out share, in (0, 1).
            keys: one per signal, by default the names; signals with equal keys stay together.
        """
        train, held = split_folders(self.names) or held_out(self.names if keys is None else keys, share)
        return Split(train=self.part(train), held_out=self.part(held))


@frozen(eq=False)
class Split:
    """Signals for training, and held-out signals that training never uses.

    Args:
        train: signals for training.
        held_out: signals for evaluation.
        account: files taken and left out, and changes by readers; filled in when a source is loaded.
    """

    train: SignalSet
    held_out: SignalSet
    account: Account = field(factory=Account)

    def fingerprint(self) -> str:
        """Hexadecimal digest of the training and the held-out signals together."""
        return f"{self.train.fingerprint()[:32]}{self.held_out.fingerprint()[:32]}"
