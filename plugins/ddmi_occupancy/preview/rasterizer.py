"""Rasterisation of projected triangles with a depth test, in numpy."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from attrs import frozen

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]

MOST = 1 << 21  # pairs of a triangle and a pixel tested at once


@frozen(eq=False)
class Hits:
    """Covered pixels, and the front-most triangle at each."""

    pixels: Integers  # (P,), row * side + column, distinct
    faces: Integers  # (P,), number of the front-most triangle
    weights: Floats  # (P, 3), barycentric
    depth: Floats  # (P,), larger is closer


def rasterise(corners: Floats, faces: Integers, side: int) -> Hits:
    """Find the front-most triangle at the centre of each pixel of a square picture.

    Back faces are culled. Triangles with bounding boxes of about the same size are tested together, at all pixels of
    these boxes.

    Args:
        corners: `(V, 3)`: columns and rows in pixels, rows running down, and depth.
        faces: `(F, 3)`, anticlockwise as seen from outside.
        side: pixels along a side.
    """
    x, y, depth = (corners[:, axis][faces] for axis in range(3))  # each (F, 3)
    doubled = (x[:, 1] - x[:, 0]) * (y[:, 2] - y[:, 0]) - (x[:, 2] - x[:, 0]) * (y[:, 1] - y[:, 0])
    left, top = (np.clip(np.ceil(part.min(axis=1) - 0.5), 0, side).astype(np.int64) for part in (x, y))
    right, bottom = (np.clip(np.floor(part.max(axis=1) - 0.5), -1, side - 1).astype(np.int64) for part in (x, y))
    wide, high = right - left + 1, bottom - top + 1
    # Rows run down, so front faces are clockwise in pixel coordinates.
    drawn = np.flatnonzero((doubled < 0) & (wide > 0) & (high > 0))
    found = [_Candidates.none()]
    for rows, columns, chosen in _alike(wide[drawn], high[drawn]):
        part = drawn[chosen]
        found.append(_covered(x[part], y[part], depth[part], doubled[part], left[part], top[part], rows, columns, side))
        found[-1] = found[-1].of(part)
    return _front(found)


@frozen(eq=False)
class _Candidates:
    """Pixels of triangles; a pixel may occur several times."""

    pixels: Integers
    faces: Integers
    weights: Floats
    depth: Floats

    @staticmethod
    def none() -> _Candidates:
        numbers = np.zeros(0, dtype=np.int64)
        return _Candidates(numbers, numbers, np.zeros((0, 3), np.float32), np.zeros(0, np.float32))

    def of(self, faces: Integers) -> _Candidates:
        """The same with triangles renumbered, from positions in `faces` to its elements."""
        return _Candidates(self.pixels, faces[self.faces], self.weights, self.depth)


def _alike(wide: Integers, high: Integers) -> Iterator[tuple[int, int, Integers]]:
    """Groups of boxes by size, rounded up to powers of two: rows, columns and members, in parts of bounded memory."""
    power = np.stack([np.ceil(np.log2(high)), np.ceil(np.log2(wide))], axis=1).astype(np.int64)
    groups, member = np.unique(power, axis=0, return_inverse=True)
    member = member.reshape(-1)
    for number, (down, across) in enumerate(groups):
        rows, columns = 1 << int(down), 1 << int(across)
        chosen = np.flatnonzero(member == number)
        step = max(1, MOST // (rows * columns))
        for start in range(0, len(chosen), step):
            yield rows, columns, chosen[start : start + step]


def _covered(
    x: Floats,
    y: Floats,
    depth: Floats,
    doubled: Floats,
    left: Integers,
    top: Integers,
    rows: int,
    columns: int,
    side: int,
) -> _Candidates:
    """Pixels, in boxes of equal size, whose centres are inside of their triangles."""
    across = (left[:, None] + np.arange(columns) + 0.5).astype(np.float32)  # (F, columns)
    down = (top[:, None] + np.arange(rows) + 0.5).astype(np.float32)  # (F, rows)
    inside: npt.NDArray[np.bool_] | bool = True
    weights = []
    for corner in range(3):
        one, two = (corner + 1) % 3, (corner + 2) % 3
        slope_x = (y[:, one] - y[:, two]) / doubled
        slope_y = (x[:, two] - x[:, one]) / doubled
        along = slope_x[:, None] * (across - x[:, one, None])
        weight = along[:, None, :] + (slope_y[:, None] * (down - y[:, one, None]))[:, :, None]
        inside = inside & (weight >= -1e-6)
        weights.append(weight)
    face, row, column = np.nonzero(inside & (across < side)[:, None, :] & (down < side)[:, :, None])
    parts = np.stack([weight[face, row, column] for weight in weights], axis=1)
    pixels = (top[face] + row) * side + left[face] + column
    return _Candidates(pixels, face, parts, (parts * depth[face]).sum(axis=1))


def _front(found: list[_Candidates]) -> Hits:
    """The closest candidate of each pixel."""
    pixels, faces = (np.concatenate([getattr(part, name) for part in found]) for name in ("pixels", "faces"))
    weights, depth = (np.concatenate([getattr(part, name) for part in found]) for name in ("weights", "depth"))
    order = np.lexsort((depth, pixels))
    last = np.flatnonzero(np.diff(pixels[order], append=-1))
    chosen = order[last]
    return Hits(pixels[chosen], faces[chosen], weights[chosen], depth[chosen])
