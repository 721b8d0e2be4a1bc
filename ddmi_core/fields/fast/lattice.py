"""Fast evaluation on a regular lattice: separable interpolation in tiles that fit the cache."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from math import prod

import torch
from attrs import frozen
from torch import Tensor

from ddmi_core.fields.fast.folding import FoldedReadout, Term
from ddmi_core.fields.interpolate import Taps, axis_taps

CHUNK = 4096
_WIDEST = 256  # most cells of an interpolation matrix, whose cost grows with their square on long axes
_FASTEST = 256  # most points of a tile along the fastest axis; short runs touch few cells


@frozen(eq=False)
class AxisWindow:
    """Linear interpolation along one axis as a matrix product over a window of cells."""

    cells: slice  # window of cells
    matrix: Tensor  # (n, window), rows sum to one

    def apply(self, window: Tensor, dim: int) -> Tensor:
        """Interpolate dimension 0 or 1 of a window `(..., width)` to length n."""
        if dim == 1:
            return torch.matmul(self.matrix, window)
        return (self.matrix @ window.reshape(len(window), -1)).view(len(self.matrix), *window.shape[1:])


@frozen(eq=False)
class AxisTaps:
    """The same with two taps per coordinate: cheaper if the window has many cells, or more cells than points."""

    cells: slice  # window of cells
    low: Tensor  # (n,), integers, in the window
    high: Tensor  # (n,), integers, in the window
    weight: Tensor  # (n,)

    def apply(self, window: Tensor, dim: int) -> Tensor:
        """Interpolate dimension 0 or 1 of a window `(..., width)` to length n."""
        shape = [1] * window.ndim
        shape[dim] = -1
        low, high = window.index_select(dim, self.low), window.index_select(dim, self.high)
        return low.lerp_(high, self.weight.view(shape))


def axis_interpolation(coords: Tensor, size: int, wraps: bool = False) -> AxisWindow | AxisTaps:
    """Interpolation at coordinates `(n,)` in [-1, 1] on an axis of `size` cells, with the taps of `axis_taps`."""
    taps = axis_taps(coords, size, wraps)
    low, high, weight = taps.low, taps.high, taps.weight
    # Across the ends of a periodic axis, the higher tap has the lower index.
    first = int(torch.minimum(low, high).min())
    cells = slice(first, int(torch.maximum(low, high).max()) + 1)
    low, high = low - first, high - first
    if cells.stop - first > min(len(coords), _WIDEST):
        return AxisTaps(cells, low, high, weight)
    return AxisWindow(cells, Taps(low, high, weight).matrix(cells.stop - first))


class LatticeEvaluator:
    """Evaluates one field on a regular lattice, without gradients, in tiles of at most `chunk` points.

    The folded readout leaves little work per point: a short weighted sum along each axis, and the layers between
    hidden states.

    Args:
        readout: the readout with the basis fields of one signal folded in.
        axes: one 1-D tensor of coordinates per axis, in the layout's order.
        chunk: most points evaluated at once; bounds the memory.
    """

    def __init__(self, readout: FoldedReadout, axes: Sequence[Tensor], chunk: int = CHUNK) -> None:
        self.readout, self.axes = readout, tuple(axis.detach() for axis in axes)
        self.sizes = tuple(len(axis) for axis in axes)
        steps = tile_steps(self.sizes, chunk)
        self.cuts = [
            [slice(start, min(start + step, size)) for start in range(0, size, step)]
            for size, step in zip(self.sizes, steps, strict=True)
        ]
        cells = {
            (column, grid_size)
            for block in self.readout.blocks
            for term in block.terms
            for column, grid_size in zip(term.columns, term.grid.shape, strict=False)
        }
        self.interpolations = {
            (column, size, cut.start): axis_interpolation(self.axes[column][cut], size, readout.wraps[column])
            for column, size in cells
            for cut in self.cuts[column]
        }

    @torch.no_grad()  # applies to the computation of each slab; each yield restores the caller's mode
    def slabs(self) -> Iterator[tuple[int, Tensor]]:
        """Yield `(start, values)` along the slowest axis; values are `(m, ..., V)`, slowest axis first."""
        for last in self.cuts[-1]:
            shape = (last.stop - last.start, *reversed(self.sizes[:-1]), self.readout.channels)
            out = self.axes[0].new_empty(shape)
            for tile in product(*self.cuts[:-1]):
                values = self._tile((*tile, last))
                # Tiles have the fastest axis first, results the slowest.
                order = tuple(reversed(range(len(self.sizes) + 1)))
                out[(slice(None), *reversed(tile))] = values.permute(order)
            yield last.start, out

    def _tile(self, tile: tuple[slice, ...]) -> Tensor:
        """Values `(V, n_0, ..., n_D-1)` of one tile, in the layout's order of axes."""
        shape = [cut.stop - cut.start for cut in tile]
        totals = (self._sum(block.terms, tile, shape) for block in self.readout.blocks)
        return self.readout.values(totals).view(-1, *shape)

    def _sum(self, terms: Sequence[Term], tile: tuple[slice, ...], shape: list[int]) -> Tensor:
        """Sum of all projected planes at the points of a tile: `(points, width)`."""
        first, *others = terms
        part = self._interpolated(first, tile, shape)
        total = part if part.shape[:-1] == tuple(shape) else part.expand(*shape, -1).contiguous()
        for term in others:
            total += self._interpolated(term, tile, shape)
        return total.reshape(prod(shape), -1)

    def _interpolated(self, term: Term, tile: tuple[slice, ...], shape: list[int]) -> Tensor:
        """One projected plane on a tile, of length 1 along the axes that it does not span: `(*shape or 1, width)`."""
        steps = [
            self.interpolations[column, size, tile[column].start]
            for column, size in zip(term.columns, term.grid.shape, strict=False)
        ]
        features = term.grid[tuple(step.cells for step in steps)]
        # The slower axis first: the faster one then multiplies a single wide matrix.
        for dim in reversed(range(len(steps))):
            features = steps[dim].apply(features, dim)
        if len(term.columns) == len(shape):
            return features
        view = [1] * len(shape)
        for column in term.columns:
            view[column] = shape[column]
        return features.reshape(*view, -1)


def tile_steps(sizes: Sequence[int], chunk: int) -> tuple[int, ...]:
    """Points per axis of one tile, at most `chunk` in total, with short runs along the fastest axis."""
    steps, left = [], max(1, chunk)
    for number, size in enumerate(sizes):
        most = min(size, _FASTEST) if number == 0 and len(sizes) > 1 else size
        step = max(1, min(most, left))
        steps.append(step)
        left //= step
    return tuple(steps)
