"""Fast evaluation at scattered points: the taps of all planes gathered and summed in one pass."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from attrs import frozen
from torch import Tensor
from torch.nn import functional as F

from ddmi_core.fields.fast.folding import FoldedReadout, Term
from ddmi_core.fields.layout import Layout

CHUNK = 8192


@frozen(eq=False)
class Gather:
    """Rows of one projected plane in the table of its block, and the rows of its taps."""

    first: int  # index of the position along the plane's first column
    second: int  # the same along its second column; a line repeats its only column
    stride: int  # rows from one cell to the next along the first column
    taps: Tensor  # (4, 1), int32: row offsets of the four taps from the lowest one
    line: bool
    plane: int  # index of the plane, for its weight


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
        self.gathers: list[list[Gather]] = []
        self.tables: list[Tensor] = []
        for block in self.readout.blocks:
            gathers, rows, start = [], [], 0
            for term in block.terms:
                grid = _extended(term, readout.wraps)
                numbers = [
                    positions.setdefault((column, cells), len(positions))
                    for column, cells in zip(term.columns, term.grid.shape, strict=False)
                ]
                line = len(numbers) == 1
                stride = 0 if line else grid.shape[1]
                offsets = [0, 1, 0, 1] if line else [0, 1, stride, stride + 1]
                taps = torch.tensor(offsets, dtype=torch.int32, device=self.device) + start
                gathers.append(Gather(numbers[0], numbers[-1], stride, taps[:, None], line, term.plane))
                rows.append(grid.reshape(-1, grid.shape[-1]))
                start += len(rows[-1])
            self.gathers.append(gathers)
            self.tables.append(torch.cat(rows))
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
        position = torch.minimum(unlimited.clamp_min(0), self.last)
        if self.wraps is not None:
            position = torch.where(self.wraps, torch.remainder(unlimited, self.size), position)
        low = torch.minimum(position.detach().floor(), self.last_low)
        upper = position - low
        lower, cells = 1 - upper, low.to(torch.int32)
        totals = (
            self._total(gathers, table, lower, upper, cells, planes)
            for gathers, table in zip(self.gathers, self.tables, strict=True)
        )
        return self.readout.values(totals).t()

    def _total(
        self,
        gathers: Sequence[Gather],
        table: Tensor,
        lower: Tensor,
        upper: Tensor,
        cells: Tensor,
        planes: Tensor | None,
    ) -> Tensor:
        """Sum of a block's projected planes at the points of a chunk, `(N, width)`; `planes (N, P)` weighs them."""
        rows = torch.cat([self._rows(gather, cells) for gather in gathers]).t().contiguous()
        parts = [_weights(gather, lower, upper) for gather in gathers]
        if planes is not None:
            parts = [part * planes[:, gather.plane] for part, gather in zip(parts, gathers, strict=True)]
        weights = torch.cat(parts).t().contiguous()
        return F.embedding_bag(rows, table, mode="sum", per_sample_weights=weights)

    @staticmethod
    def _rows(gather: Gather, cells: Tensor) -> Tensor:
        """Table rows of a plane's taps: `(4, N)`."""
        lowest = cells[gather.second]
        if not gather.line:
            lowest = torch.add(lowest, cells[gather.first], alpha=gather.stride)
        return lowest + gather.taps


def _weights(gather: Gather, lower: Tensor, upper: Tensor) -> Tensor:
    """Weights of a plane's taps: `(4, N)`; for a line, the last two are zero."""
    second = torch.stack([lower[gather.second], upper[gather.second]])
    if gather.line:
        return torch.cat([second, torch.zeros_like(second)])
    return torch.cat([second * lower[gather.first], second * upper[gather.first]])


def _extended(term: Term, wraps: Sequence[bool]) -> Tensor:
    """The grid of a term, extended so that every point has two neighbouring taps along each axis.

    The first cell is repeated after a single cell, and after the last cell of a periodic axis.
    """
    grid = term.grid
    for dim, column in enumerate(term.columns):
        if grid.shape[dim] == 1 or wraps[column]:
            grid = torch.cat([grid, grid.narrow(dim, 0, 1)], dim=dim)
    return grid
