"""A regular lattice of an implicit function, closed by a layer of points that are outside of the solid.

Lattice points are the centres of n cells along each axis, with indices 1 to n. Each point of the layer around them,
with indices 0 and n + 1, has minus the absolute value of its neighbour. A solid that reaches the border is therefore
cut off half-way to that layer: at -1 and 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ddmi_core.errors import RequestError
from ddmi_core.fields.coordinates import cell_centres
from ddmi_core.surfaces.implicit_functions import ImplicitFunction
from ddmi_core.surfaces.sparse_lattice import Index, Values

Positions = npt.NDArray[np.float64]
Marks = npt.NDArray[np.bool_]
Rows = Sequence[npt.NDArray[Any]] | npt.NDArray[Any]  # along x, y and z

CHUNK = 65536  # points of the coarse lattice evaluated at once


class ClosedLattice:
    """Values of an implicit function at lattice points, negative in the closing layer.

    Args:
        function: positive inside the solid.
        size: cells along x, y and z.
    """

    def __init__(self, function: ImplicitFunction, size: Sequence[int]) -> None:
        self.function, self.size = function, tuple(size)
        self.spacing = 2 / np.array(self.size)  # of lattice points, along x, y and z
        self._axes = [cell_centres(n).numpy() for n in self.size]
        self._at = function.subset(self._axes)

    def coordinates(self, positions: Rows) -> Positions:
        """Coordinates `(N, 3)` of indices along x, y and z, `(N,)` each, which may be fractional."""
        return np.stack([(2 * place - 1) / n - 1 for place, n in zip(positions, self.size, strict=True)], axis=1)

    def beyond(self, indices: Index) -> Marks:
        """Whether indices `(3, N)` are in the closing layer or further out: `(N,)`."""
        found: Marks = np.zeros(indices.shape[1:], dtype=np.bool_)
        for index, n in zip(indices, self.size, strict=True):
            if len(index) and (index.min() < 1 or index.max() > n):
                found |= (index < 1) | (index > n)
        return found

    def values(self, indices: Index) -> Values:
        """Values `(N,)` at indices `(3, N)`.

        Raises:
            RequestError: if a value is not finite.
        """
        beyond = self.beyond(indices)
        inner = indices - 1
        if beyond.any():
            for index, n in zip(inner, self.size, strict=True):
                np.clip(index, 0, n - 1, out=index)
        return _closed(_finite(self._at(inner)), beyond)

    def between(self, positions: Rows) -> Values:
        """Values `(N,)` of the function at fractional indices along x, y and z, `(N,)` each.

        Raises:
            RequestError: if a value is not finite.
        """
        return _finite(self.function.values(self.coordinates(positions).astype(np.float32)))

    def slopes(self, positions: Rows) -> tuple[Values, Values]:
        """Values `(N,)` and gradients `(N, 3)` of the function at fractional indices along x, y and z, `(N,)` each.

        Raises:
            RequestError: if a value is not finite.
        """
        values, slopes = self.function.slopes(self.coordinates(positions).astype(np.float32))
        return _finite(values), slopes

    def every(self, step: int) -> Values:
        """Values `(Z, Y, X)` at every `step`-th index, from 0 to the first one beyond the last centre.

        Raises:
            RequestError: if a value is not finite.
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


def _finite(values: Values) -> Values:
    if not np.isfinite(values).all():
        raise RequestError(
            "the function has values that are not finite, so it has no surface; check the weights and the latent of "
            "the field: files are damaged, or training diverged"
        )
    return values
