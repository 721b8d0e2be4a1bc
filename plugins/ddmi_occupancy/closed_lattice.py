"""A regular lattice of a solid, with one layer of points around it that closes the solid.

The lattice has its points at the centres of n cells an axis. Beyond them, the solid is mirrored as its negative, so
that what reaches the border is cut off half-way to the next point: at -1 and 1. Indices count the layer: the first
centre has index 1, the last has n.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ddmi_core.errors import RequestError
from ddmi_core.parts import cell_centres
from ddmi_occupancy.bricks import Index, Values
from ddmi_occupancy.functions import Solid

Positions = npt.NDArray[np.float64]
Marks = npt.NDArray[np.bool_]
Rows = Sequence[npt.NDArray[Any]] | npt.NDArray[Any]  # along x, y and z

CHUNK = 65536  # points of the coarse lattice evaluated at once


class ClosedLattice:
    """Values of a solid at lattice points, negative beyond the centres of the outermost cells.

    Args:
        solid: the solid.
        size: cells along x, y and z.
    """

    def __init__(self, solid: Solid, size: Sequence[int]) -> None:
        self.solid, self.size = solid, tuple(size)
        self._axes = [cell_centres(n).numpy() for n in self.size]
        self._at = solid.subset(self._axes)

    def coordinates(self, positions: Rows) -> Positions:
        """Coordinates `(N, 3)` of indices along x, y and z, `(N,)` each, or of positions between them."""
        return np.stack([(2 * place - 1) / n - 1 for place, n in zip(positions, self.size, strict=True)], axis=1)

    def beyond(self, indices: Index) -> Marks:
        """Which indices `(3, N)` are in the closing layer, or further out."""
        found: Marks = np.zeros(indices.shape[1:], dtype=np.bool_)
        for index, n in zip(indices, self.size, strict=True):
            if len(index) and (index.min() < 1 or index.max() > n):
                found |= (index < 1) | (index > n)
        return found

    def values(self, indices: Index) -> Values:
        """Values `(N,)` at indices `(3, N)`.

        Raises:
            RequestError: if there are values that are not numbers.
        """
        beyond = self.beyond(indices)
        inner = indices - 1
        if beyond.any():
            for index, n in zip(inner, self.size, strict=True):
                np.clip(index, 0, n - 1, out=index)
        return _closed(_numbers(self._at(inner)), beyond)

    def between(self, positions: Rows) -> Values:
        """Values `(N,)` of the solid itself at any positions along x, y and z, `(N,)` each.

        Raises:
            RequestError: if there are values that are not numbers.
        """
        return _numbers(self.solid.values(self.coordinates(positions).astype(np.float32)))

    def every(self, step: int) -> Values:
        """Values `(Z, Y, X)` at each so-many-th index, from 0 to the first beyond the last centre.

        Raises:
            RequestError: if there are values that are not numbers.
        """
        x, y, z = (np.arange(0, n + step + 1, step) for n in self.size)
        layers = max(1, CHUNK // (len(y) * len(x)))
        found = []
        for start in range(0, len(z), layers):
            indices = np.stack(np.meshgrid(z[start : start + layers], y, x, indexing="ij")[::-1])
            found.append(self.values(indices.reshape(3, -1)).reshape(indices.shape[1:]))
        return np.concatenate(found)


def _closed(values: Values, beyond: Marks) -> Values:
    return np.where(beyond, -np.abs(values), values)


def _numbers(values: Values) -> Values:
    if not np.isfinite(values).all():
        raise RequestError(
            "the field has values that are not finite numbers, so it has no surface; the weights or the latent that it "
            "comes from are damaged, or their training diverged"
        )
    return values
