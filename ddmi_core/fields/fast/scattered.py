"""Fast evaluation at scattered points: the taps of all planes gathered and summed in one pass."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from ddmi_core.fields.fast.folding import FoldedReadout, Term
from ddmi_core.fields.layout import Layout

CHUNK = 8192


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
        pairs: list[tuple[int, int]] = []  # of the positions along a plane's two columns
        strides: list[int] = []  # rows from one cell to the next along the first column
        offsets: list[list[int]] = []  # rows of the four taps in their table, from that of the lowest cell
        self.tables: list[Tensor] = []
        for block in self.readout.blocks:
            rows, start = [], 0
            for term in block.terms:
                grid = _extended(term, readout.wraps)
                # A line has a single cell along a first column, so that two of its taps have no weight.
                sizes = (1, len(term.grid)) if len(term.columns) == 1 else tuple(term.grid.shape[:2])
                ends = zip((term.columns[0], term.columns[-1]), sizes, strict=True)
                first, second = (positions.setdefault(end, len(positions)) for end in ends)
                stride = 0 if len(term.columns) == 1 else grid.shape[1]
                pairs.append((first, second))
                strides.append(stride)
                offsets.append([start, start + 1, start + stride, start + stride + 1])
                rows.append(grid.reshape(-1, grid.shape[-1]))
                start += len(rows[-1])
            self.tables.append(torch.cat(rows))
        self.counts = [len(block.terms) for block in readout.blocks]
        self.first, self.second = torch.tensor(pairs, device=self.device).t().contiguous()
        self.strides = torch.tensor(strides, dtype=torch.int32, device=self.device)[:, None]
        self.offsets = torch.tensor(offsets, dtype=torch.int32, device=self.device).t()[:, :, None]
        self.planes = torch.tensor([term.plane for block in readout.blocks for term in block.terms], device=self.device)
        columns, cells = zip(*positions, strict=True)
        self.columns = torch.tensor(columns, device=self.device)
        size = readout.head[0].new_tensor(cells)[:, None]
        self.size, self.half, self.shift, self.last = size, size / 2, size / 2 - 0.5, size - 1
        self.last_low = (size - 2).clamp_min(0)
        wraps = [readout.wraps[column] and count > 1 for column, count in positions]
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
        shares, cells = torch.stack([1 - upper, upper]), low.to(torch.int32)
        lowest = cells.index_select(0, self.second).addcmul_(cells.index_select(0, self.first), self.strides)
        rows = lowest + self.offsets
        first, second = shares.index_select(1, self.first), shares.index_select(1, self.second)
        weights = (first[:, None] * second).flatten(0, 1)
        if planes is not None:
            weights = weights * planes.t().index_select(0, self.planes)
        parts = zip(torch.split(rows, self.counts, 1), torch.split(weights, self.counts, 1), self.tables, strict=True)
        totals = (
            F.embedding_bag(_by_point(row), table, mode="sum", per_sample_weights=_by_point(weight))
            for row, weight, table in parts
        )
        return self.readout.values(totals).t()


def _by_point(taps: Tensor) -> Tensor:
    """Four taps of each plane `(4, P, N)` in one row for each point, `(N, 4 P)`."""
    return taps.flatten(0, 1).t().contiguous()


def _extended(term: Term, wraps: Sequence[bool]) -> Tensor:
    """The grid of a term, extended so that every point has two neighbouring taps along each axis.

    The first cell is repeated after a single cell, and after the last cell of a periodic axis.
    """
    grid = term.grid
    for dim, column in enumerate(term.columns):
        if grid.shape[dim] == 1 or wraps[column]:
            grid = torch.cat([grid, grid.narrow(dim, 0, 1)], dim=dim)
    return grid
