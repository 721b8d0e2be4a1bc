"""Fast evaluation at scattered points: the taps of all planes gathered and summed in one pass."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import torch
from attrs import frozen
from torch import Tensor
from torch.nn import functional as F

from ddmi_core.fields.fast.folding import FoldedBlock, FoldedReadout, Term
from ddmi_core.fields.layout import Layout

CHUNK = 8192


@frozen(eq=False)
class Affine:
    """A map from P numbers of each point to one number for each of T taps, as a matrix product.

    Products write the numbers of a point side by side; to compute tap by tap and transpose takes several times longer.
    """

    matrix: Tensor  # (P, T)
    bias: Tensor  # (T,)

    def __call__(self, numbers: Tensor) -> Tensor:
        """Numbers of taps `(N, T)` from `(P, N)`."""
        # In place, which autocast leaves alone: weights of bfloat16 would move the points.
        return self.bias.repeat(numbers.shape[1], 1).addmm_(numbers.t(), self.matrix)


@frozen(eq=False)
class BlockTaps:
    """The projected planes of a block as rows of one table, and the taps of a point: their rows and weights.

    Taps are two per line and four per plane; P is the number of different pairs of a column and its number of cells.
    """

    table: Tensor  # (rows, width)
    rows: Affine  # from the lower cells; in double precision, in which rows are exact, also where TF32 is allowed
    first: Affine  # factor of the weight along the first column, from the place between cells
    second: Affine  # the same along the second column
    planes: Tensor  # (T,), index of the plane

    @staticmethod
    def of(block: FoldedBlock, wraps: Sequence[bool], positions: dict[tuple[int, int], int]) -> BlockTaps:
        """Taps of a block; `positions` is the index of each column and number of cells."""
        grids = [_extended(term, wraps) for term in block.terms]
        owners = [term.plane for term in block.terms for _ in range(2 * len(term.columns))]
        shape, dtype = (len(positions), len(owners)), grids[0].dtype
        rows, first, second = (torch.zeros(shape, dtype=kind) for kind in (torch.float64, dtype, dtype))
        row, low, near = (matrix.new_zeros(len(owners)) for matrix in (rows, first, second))
        start = tap = 0
        for term, grid in zip(block.terms, grids, strict=True):
            along = [positions[key] for key in zip(term.columns, term.grid.shape, strict=False)]
            stride = grid.shape[1] if len(along) == 2 else 0
            for below, beside in product(range(len(along)), range(2)):
                rows[along[-1], tap] += 1
                rows[along[0], tap] += stride
                row[tap] = start + below * stride + beside
                second[along[-1], tap], near[tap] = 2 * beside - 1, 1 - beside
                if len(along) == 2:
                    first[along[0], tap] = 2 * below - 1
                low[tap] = 1 - below
                tap += 1
            start += grid.shape[:-1].numel()
        table = torch.cat([grid.reshape(-1, grid.shape[-1]) for grid in grids])
        pairs = ((rows, row), (first, low), (second, near))
        maps = [Affine(matrix.to(table.device), bias.to(table.device)) for matrix, bias in pairs]
        return BlockTaps(table, maps[0], maps[1], maps[2], torch.tensor(owners, device=table.device))

    def total(self, cells: Tensor, between: Tensor, planes: Tensor | None) -> Tensor:
        """Sum of the interpolated planes `(N, width)`.

        Args:
            cells: `(P, N)`, lower cells, in double precision.
            between: `(P, N)`, places between the lower cells, at 0, and the upper ones, at 1.
            planes: `(N, planes)`, weights of the planes, or `None`.
        """
        weights = self.first(between) * self.second(between)
        if planes is not None:
            weights = weights * planes.index_select(1, self.planes)
        rows = self.rows(cells).to(torch.int32)
        return F.embedding_bag(rows, self.table, mode="sum", per_sample_weights=weights)


class PointEvaluator:
    """Evaluates one field at arbitrary points: values, or values with their derivatives in the coordinates.

    The folded readout leaves little work per point: one weighted sum of rows, four per plane, and the layers
    between hidden states. Use it for points that form no lattice; on a whole lattice, `LatticeEvaluator` shares more
    work.

    Args:
        readout: the readout with the basis fields of one signal folded in.
        layout: of the field: its axes, D, and its embedding.
        chunk: most points evaluated at once; bounds the memory.
    """

    def __init__(self, readout: FoldedReadout, layout: Layout, chunk: int = CHUNK) -> None:
        self.readout, self.layout, self.axes, self.chunk = readout, layout, len(layout.axes), chunk
        self.device = readout.head[0].device
        positions: dict[tuple[int, int], int] = {}  # (column, cells) to its index
        for block in readout.blocks:
            for term in block.terms:
                for key in zip(term.columns, term.grid.shape, strict=False):
                    positions.setdefault(key, len(positions))
        self.blocks = [BlockTaps.of(block, readout.wraps, positions) for block in readout.blocks]
        columns, cells = zip(*positions, strict=True)
        self.columns = torch.tensor(columns, device=self.device)
        size = readout.head[0].new_tensor(cells)[:, None]
        self.size, self.half, self.shift, self.last = size, size / 2, size / 2 - 0.5, size - 1
        self.last_low = (size - 2).clamp_min(0)
        wraps = [readout.wraps[column] for column in columns]
        self.wraps = torch.tensor(wraps, device=self.device)[:, None] if any(wraps) else None
        if self.wraps is not None:
            self.last_low = torch.where(self.wraps, self.last, self.last_low)

    @torch.no_grad()
    def at(self, coords: Tensor) -> Tensor:
        """Values at coordinates `(N, D)` in [-1, 1]: `(N, V)`, without gradients, on the field's device.

        Raises:
            ValueError: if the coordinates have another number of columns.
        """
        coords = self._checked(coords)
        values = coords.new_empty(len(coords), self.readout.channels)
        for start in range(0, len(coords), self.chunk):
            part = slice(start, start + self.chunk)
            values[part] = self._evaluate(coords[part])
        return values

    def slopes(self, coords: Tensor) -> tuple[Tensor, Tensor]:
        """Values `(N, V)` and their derivatives in the coordinates `(N, V, D)`, both detached.

        At cell centres, where a basis field has a kink, the derivative is the one-sided one from above.

        Raises:
            ValueError: if the coordinates have another number of columns.
        """
        coords = self._checked(coords)
        values = coords.new_empty(len(coords), self.readout.channels)
        slopes = coords.new_empty(len(coords), self.readout.channels, self.axes)
        for start in range(0, len(coords), self.chunk):
            part = slice(start, start + self.chunk)
            with torch.enable_grad():
                point = coords[part].detach().requires_grad_()
                result = self._evaluate(point)
                sums = result.sum(dim=0).unbind()
            values[part] = result.detach()
            for channel, total in enumerate(sums):
                more = channel < len(sums) - 1
                (slopes[part, channel],) = torch.autograd.grad(total, point, retain_graph=more)
        return values, slopes

    def _checked(self, coords: Tensor) -> Tensor:
        if coords.ndim != 2 or coords.shape[1] != self.axes:
            raise ValueError(f"coords have shape {tuple(coords.shape)}; this field takes (N, {self.axes})")
        return coords.detach().to(self.half)

    def _evaluate(self, coords: Tensor) -> Tensor:
        """Values `(N, V)` of one chunk."""
        # Points along the last dimension: short runs per point would take several times longer.
        # `index_select`, because plain indexing adds up gradients in any order of the threads.
        planes = self.layout.plane_weights(coords)
        coords = self.layout.in_planes(coords)
        unlimited = torch.addcmul(self.shift, coords.t().index_select(0, self.columns), self.half)
        with torch.no_grad():
            limited = torch.minimum(unlimited.clamp_min(0), self.last)
            inside = (unlimited >= 0) & (unlimited < self.last)
        # A mask has cheaper gradients than limits.
        position = torch.where(inside, unlimited, limited)
        if self.wraps is not None:
            position = torch.where(self.wraps, torch.remainder(unlimited, self.size), position)
        low = torch.minimum(position.detach().floor(), self.last_low)
        # A coordinate that is not a number has any cells; its values are not numbers.
        cells, between = low.double().nan_to_num_(), position - low
        return self.readout.values(block.total(cells, between, planes) for block in self.blocks).t()


def _extended(term: Term, wraps: Sequence[bool]) -> Tensor:
    """The grid of a term, extended so that every point has two neighbouring taps along each axis.

    The first cell is repeated after a single cell, and after the last cell of a periodic axis.
    """
    grid = term.grid
    for dim, column in enumerate(term.columns):
        if grid.shape[dim] == 1 or wraps[column]:
            grid = torch.cat([grid, grid.narrow(dim, 0, 1)], dim=dim)
    return grid
