"""A sparse lattice of values, stored in bricks of 4 x 4 x 4 points that are allocated on demand."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

Index = npt.NDArray[np.int64]
Values = npt.NDArray[np.float32]
Evaluate = Callable[[Index], Values]

BITS = 2  # of a point's index within a brick, along each axis
SIDE = 1 << BITS  # points along a brick's side
POINTS = SIDE**3
LEAVES = 8  # blocks of 2 x 2 x 2 cells whose first corner is in one brick


class SparseLattice:
    """Values of lattice points; each point is evaluated at most once, and memory grows with the points in use.

    The address of a point is its index in `values`; neighbours in space are near in memory. Indices and addresses
    count from 0.

    Args:
        evaluate: function from indices `(3, N)`, rows x, y, z, to values `(N,)`.
        points: number of points along x, y and z.
    """

    def __init__(self, evaluate: Evaluate, points: Sequence[int]) -> None:
        self._evaluate = evaluate
        wide, deep, high = (-(-count // SIDE) for count in points)
        self._shape = np.array([wide, deep, high])
        self._first = np.full(wide * deep * high, -1, dtype=np.int32)  # address of each brick's first point
        self._corners = np.zeros((3, 0), dtype=np.int64)  # (3, bricks in use), indices of their first points
        self._claims = np.zeros(0, dtype=np.int32)
        self._seen = np.zeros(0, dtype=np.bool_)
        self.values: Values = np.zeros(0, dtype=np.float32)  # NaN until evaluated
        self._used = 0

    def __len__(self) -> int:
        """Number of addresses."""
        return self._used * POINTS

    def cubes(self, origins: Index, step: int) -> Index:
        """Addresses `(K, 3, 3, 3)`, z slowest, of 3 x 3 x 3 points a step apart, from origins `(3, K)`."""
        # Broadcasting keeps most of the arithmetic along single axes.
        x, y, z = (origin[:, None] + step * np.arange(3) for origin in origins)
        x, y, z = x[:, None, None, :], y[:, None, :, None], z[:, :, None, None]
        found: Index = np.add(self._existing(self._bricks(x, y, z)), _offsets(x, y, z), dtype=np.int64)
        return found

    def at(self, indices: Index) -> Values:
        """Values `(N,)` at indices `(3, N)` that were evaluated before."""
        found: Values = self.values.take(self._first.take(self._bricks(*indices)) + _offsets(*indices))
        return found

    def known(self, addresses: Index) -> Values:
        """Values at addresses, of the same shape; points without a value are evaluated."""
        values = self.values.take(addresses)
        unknown = addresses[np.isnan(values)]
        if len(unknown):
            # Drop repeated addresses: each row writes its number to its address, and the last writer is kept.
            order = np.arange(len(unknown), dtype=np.int32)
            self._claims[unknown] = order
            unknown = unknown[self._claims.take(unknown) == order]
            self.values[unknown] = self._evaluate(self.indices(unknown))
            values = self.values.take(addresses)
        return values

    def indices(self, addresses: Index) -> Index:
        """Indices `(3, N)` of addresses `(N,)`."""
        found = self._corners.take(addresses >> 3 * BITS, axis=1)
        for axis in range(3):
            found[axis] += addresses >> axis * BITS & SIDE - 1
        return found

    def keys(self, indices: Index) -> Index:
        """Sort keys `(N,)` of indices `(3, N)`: in order of z, then y, then x."""
        wide, deep, _ = self._shape * SIDE
        x, y, z = indices
        found: Index = (z * deep + y) * wide + x
        return found

    def unseen(self, origins: Index) -> Index:
        """Even origins `(3, K)` of blocks of 2 x 2 x 2 cells, without repetitions and those of earlier calls."""
        x, y, z = (origins & SIDE - 1) >> 1
        leaf = (self._existing(self._bricks(*origins)) >> 3 * BITS) * LEAVES + z * 4 + y * 2 + x
        _, chosen = np.unique(leaf, return_index=True)
        chosen = chosen[~self._seen[leaf[chosen]]]
        self._seen[leaf[chosen]] = True
        return origins[:, chosen]

    def _bricks(self, x: Index, y: Index, z: Index) -> Index:
        """Numbers of the bricks that contain points."""
        wide, deep, _ = self._shape
        found: Index = (z >> BITS) * (deep * wide) + (y >> BITS) * wide + (x >> BITS)
        return found

    def _existing(self, bricks: Index) -> npt.NDArray[np.int32]:
        """Addresses of the first points of bricks; missing bricks are allocated."""
        first = self._first.take(bricks)
        if (missing := first < 0).any():
            self._add(np.unique(bricks[missing]))
            first = self._first.take(bricks)
        return first

    def _add(self, bricks: Index) -> None:
        """Allocate new bricks; arrays at least double, so that the cost is amortized."""
        wide, deep, _ = self._shape
        end = self._used + len(bricks)
        self._first[bricks] = np.arange(self._used, end) * POINTS
        if end > (had := self._corners.shape[1]):
            room = max(end, 2 * had) - had
            self._corners = np.concatenate([self._corners, np.zeros((3, room), dtype=np.int64)], axis=1)
            self._seen = np.concatenate([self._seen, np.zeros(room * LEAVES, dtype=np.bool_)])
            self._claims = np.concatenate([self._claims, np.zeros(room * POINTS, dtype=np.int32)])
            self.values = np.concatenate([self.values, np.full(room * POINTS, np.nan, dtype=np.float32)])
        place = np.stack([bricks % wide, bricks // wide % deep, bricks // (wide * deep)])
        self._corners[:, self._used : end] = place * SIDE
        self._used = end


def _offsets(x: Index, y: Index, z: Index) -> Index:
    """Offsets of points within their bricks."""
    last = SIDE - 1
    found: Index = ((z & last) << 2 * BITS) + ((y & last) << BITS) + (x & last)
    return found
