"""Grid signals, and sets of them in memory or in a memory-mapped file."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from attrs import frozen
from torch import Tensor

from ddmi_core.api.signals import DivisibleSet
from ddmi_core.display import ShortText
from ddmi_core.draws import per_row
from ddmi_core.grids.sampler import as_values
from ddmi_core.sources.lazy_rows import LazyRows

Levels = tuple[Tensor, ...]
Augment = Callable[[Levels, Tensor, torch.Generator], Levels]


@frozen(eq=False, repr=False)
class GridSignal(ShortText):
    """A batch of signals on a grid and, where known, on finer grids.

    A finer level holds the same signals with more detail.
    """

    values: Tensor  # (B, V, *grid), slowest axis first, in [-1, 1], at the native size
    finer: Levels = ()  # each (B, V, *finer grid); integers represent values as in `OnGrids.levels`

    def levels(self) -> Levels:
        """Values at each size, the native one first."""
        return (self.values, *self.finer)


def mirroring(allowed: Sequence[bool]) -> Augment:
    """Augmentation for `GridSet`: mirrors a signal along the fastest axis with probability 1/2, if it is allowed.

    Args:
        allowed: one per signal of the set, whether it may be mirrored.
    """
    may = torch.tensor(list(allowed), dtype=torch.bool)

    def mirror(levels: Levels, index: Tensor, generator: torch.Generator) -> Levels:
        chance = per_row(generator, len(index), lambda rows, g: torch.rand(rows, generator=g, device=g.device)).cpu()
        turned = may[index] & (chance < 0.5)
        for level in levels:
            level[turned] = level[turned].flip(-1)
        return levels

    return mirror


class GridSet(DivisibleSet):
    """Signals on grids, stored as arrays.

    Args:
        levels: one array `(M, V, *grid)` per level, the native one first: bytes, 16-bit integers or floats
            (see `OnGrids.levels`), in memory, memory-mapped, or of `FolderSource.decode`. They may hold more signals
            than the set.
        names: one unique name per signal of the set.
        rows: rows of the set's signals in the arrays; the first ones by default.
        classes: names of the classes.
        labels: class of each signal; zeros by default.
        augment: function `(levels, indices, generator) -> levels` that changes signals at random in training.
            The levels are copies of the signals `(B, V, *grid)` at the indices `(B,)`.
        captions: one or more sentences per signal; empty for data without captions.

    Raises:
        ValueError: if the numbers of names, rows, labels, captions and signals do not match.
    """

    def __init__(
        self,
        levels: Sequence[npt.NDArray[Any] | LazyRows],
        names: Sequence[str],
        rows: Sequence[int] | None = None,
        classes: Sequence[str] = (),
        labels: Sequence[int] | None = None,
        augment: Augment | None = None,
        captions: Sequence[Sequence[str]] = (),
    ) -> None:
        self.grids = tuple(levels)
        self.names, self.classes = tuple(map(str, names)), tuple(map(str, classes))
        self.rows = np.arange(len(names)) if rows is None else np.asarray(rows, dtype=np.int64)
        self.labels = torch.tensor([0] * len(names) if labels is None else list(labels), dtype=torch.long)
        self.augment, self.captions = augment, tuple(map(tuple, captions))
        if not len(self.rows) == len(self.labels) == len(self.names):
            counts = f"{len(self.names)} names, {len(self.rows)} rows, {len(self.labels)} labels"
            raise ValueError(f"a set requires one name, row and label per signal; got {counts}")
        if self.captions and len(self.captions) != len(self.names):
            raise ValueError(
                f"a set requires captions for all signals or none; got {len(self.captions)} of {len(names)}"
            )
        wrong = self.rows[(self.rows < 0) | (self.rows >= min(map(len, self.grids)))]
        if len(wrong):
            held = ", ".join(str(len(level)) for level in self.grids)
            raise ValueError(f"row {wrong[0]} is out of range; the levels hold {held} signals")

    def batch(self, indices: Sequence[int], generator: torch.Generator | None = None) -> GridSignal:
        """Signals at the indices, at all levels; augmented if a generator is given and the set has an `augment`."""
        index = torch.as_tensor(indices, dtype=torch.long)
        rows = self.rows[index.numpy()]
        levels = tuple(torch.from_numpy(np.ascontiguousarray(level[rows])) for level in self.grids)
        if generator is not None and self.augment is not None:
            levels = self.augment(levels, index, generator)
        return GridSignal(values=as_values(levels[0]), finer=levels[1:])

    def fingerprint(self) -> str:
        """SHA-256 of names, classes, labels, shapes, types and values.

        Captions are excluded: the figures of a run that does not read them are valid for the same signals without.
        """
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        shapes = [(level.shape[1:], level.dtype.newbyteorder("<").str) for level in self.grids]
        contents = (self.names, self.classes, self.labels.tolist(), shapes)

        def digest() -> str:
            found = hashlib.sha256(repr(contents).encode())
            for row in self.rows:
                for level in self.grids:
                    values = np.ascontiguousarray(level[row])
                    found.update(values.astype(values.dtype.newbyteorder("<"), copy=False).data)
            return found.hexdigest()

        (first, *_) = self.grids
        if isinstance(first, LazyRows):  # reading all of them takes long
            which = hashlib.sha256(repr((contents, self.rows.tolist())).encode()).hexdigest()
            return str(first.once(f"fingerprint of {which}", digest))
        return digest()

    def part(self, indices: Sequence[int]) -> GridSet:
        """Some signals of the set, sharing its arrays."""
        chosen = list(indices)
        augment, own = self.augment, torch.tensor(chosen, dtype=torch.long)
        moved: Augment | None = None
        if augment is not None:
            inner = augment

            def moved(levels: Levels, index: Tensor, generator: torch.Generator) -> Levels:
                return inner(levels, own[index], generator)

        return GridSet(
            self.grids,
            [self.names[i] for i in chosen],
            self.rows[chosen].tolist(),
            self.classes,
            self.labels[chosen].tolist(),
            moved,
            [self.captions[i] for i in chosen] if self.captions else (),
        )
