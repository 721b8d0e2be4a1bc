"""Evaluation on a lattice of a field whose layout has an embedding: through its points, one chunk after another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod

import torch
from torch import Tensor

from ddmi_core.fields.fast.scattered import PointEvaluator
from ddmi_core.fields.fast.subset import checked_indices


class EmbeddedLattice:
    """Stands in for `LatticeEvaluator` and `SubsetEvaluator` where a layout has an embedding.

    Points of a lattice form no lattice in the space of the planes, so no interpolation along single axes exists.

    Args:
        points: evaluates the field at scattered points.
        axes: one 1-D tensor of coordinates per axis, in the layout's order.
    """

    def __init__(self, points: PointEvaluator, axes: Sequence[Tensor]) -> None:
        self.points, self.axes = points, tuple(axis.detach() for axis in axes)
        self.sizes = tuple(len(axis) for axis in axes)

    def slabs(self) -> Iterator[tuple[int, Tensor]]:
        """Yield `(start, values)` along the slowest axis; values are `(m, ..., V)`, slowest axis first."""
        *faster, slowest = self.sizes
        row = prod(faster)
        step = max(1, self.points.chunk // max(1, row))
        for start in range(0, slowest, step):
            rows = min(step, slowest - start)
            values = self.axes[0].new_empty(rows * row, self.points.readout.channels)
            # Indices of one chunk at a time: a single row may have far more points.
            for first in range(0, len(values), self.points.chunk):
                last = min(first + self.points.chunk, len(values))
                numbers = torch.arange(first, last, device=values.device) + start * row
                values[first:last] = self.points.at(self._coordinates(self._indices(numbers)))
            yield start, values.view(rows, *reversed(faster), -1)

    def at(self, indices: Tensor) -> Tensor:
        """Values `(V, N)` at points of the lattice.

        Args:
            indices: `(D, N)`, whole numbers from 0: one row per axis, in the layout's order.

        Raises:
            ValueError: if the indices have another number of rows.
            IndexError: if an index is outside the lattice.
        """
        indices = checked_indices(indices, len(self.axes)).to(self.axes[0].device)
        return self.points.at(self._coordinates(indices)).t()

    def _indices(self, numbers: Tensor) -> list[Tensor]:
        """Indices along each axis of points that are numbered with the first axis fastest."""
        indices = []
        for size in self.sizes:
            indices.append(numbers % size)
            numbers = numbers // size
        return indices

    def _coordinates(self, indices: Sequence[Tensor] | Tensor) -> Tensor:
        """Coordinates `(N, D)` of points of the lattice."""
        return torch.stack([axis.index_select(0, at) for axis, at in zip(self.axes, indices, strict=True)], dim=1)
