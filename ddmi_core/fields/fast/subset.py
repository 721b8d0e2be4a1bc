"""Fast evaluation at selected points of a large lattice: two taps per plane, looked up in tables per axis."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from ddmi_core.fields.fast.folding import FoldedReadout
from ddmi_core.fields.interpolate import axis_taps

CHUNK = 8192


class SubsetEvaluator:
    """Evaluates one field at points of a regular lattice, given by their indices, without gradients.

    Each plane is interpolated once along its second axis, at all coordinates of the lattice; two taps remain along
    the first axis. The row of a tap is a sum of one table entry per axis, and its weight depends on one axis, so both
    are looked up axis by axis. Use it for a small part of a lattice, such as the points near a surface, that still has
    many more points than the lattice has coordinates.

    Args:
        readout: the readout with the basis fields of one signal folded in.
        axes: one 1-D tensor of coordinates per axis, in the layout's order.
        chunk: most points evaluated at once; bounds the memory.
    """

    def __init__(self, readout: FoldedReadout, axes: Sequence[Tensor], chunk: int = CHUNK) -> None:
        self.readout, self.chunk = readout, chunk
        terms = [term for block in self.readout.blocks for term in block.terms]
        self.rows = [torch.zeros(len(axis), 2 * len(terms), dtype=torch.int32, device=axis.device) for axis in axes]
        self.weights = [axis.new_zeros(len(axis), 2 * len(terms)) for axis in axes]
        tables: list[Tensor] = []
        start = 0
        for number, term in enumerate(terms):
            own = slice(2 * number, 2 * number + 2)
            # Consecutive points mostly differ along the first axis, where they share taps.
            first, *others = term.columns
            grid = term.grid.movedim(0, -2)
            taps = axis_taps(axes[first], grid.shape[-2], readout.wraps[first])
            self.rows[first][:, own] = torch.stack([taps.low, taps.high], dim=1) + start
            self.weights[first][:, own] = torch.stack([1 - taps.weight, taps.weight], dim=1)
            for column in others:
                along = axis_taps(axes[column], len(grid), readout.wraps[column])
                grid = grid[along.low].lerp_(grid[along.high], along.weight[:, None, None])
                self.rows[column][:, own] = (torch.arange(len(grid), device=grid.device) * grid.shape[1])[:, None]
            tables.append(grid.reshape(-1, grid.shape[-1]))
            start += len(tables[-1])
        self.table = torch.cat(tables)
        self.taps = 2 * len(self.readout.blocks[0].terms)

    @torch.no_grad()
    def at(self, indices: Tensor) -> Tensor:
        """Values `(V, N)` at points of the lattice.

        Args:
            indices: `(D, N)`, whole numbers from 0: one row per axis, in the layout's order.

        Raises:
            ValueError: if the indices have another number of rows.
            IndexError: if an index is outside the lattice.
        """
        indices = checked_indices(indices, len(self.rows)).to(self.table.device)
        values = self.table.new_empty(self.readout.channels, indices.shape[1])
        for start in range(0, indices.shape[1], self.chunk):
            part = slice(start, start + self.chunk)
            index = indices[:, part]
            rows, weights = _sum(self.rows, index), _sum(self.weights, index)
            sums = F.embedding_bag(
                rows.view(-1, self.taps), self.table, mode="sum", per_sample_weights=weights.view(-1, self.taps)
            )
            totals = sums.view(index.shape[1], len(self.readout.blocks), -1).unbind(dim=1)
            values[:, part] = self.readout.values(totals)
        return values


def checked_indices(indices: Tensor, axes: int) -> Tensor:
    """The indices of points of a lattice, if they have one row per axis, `(D, N)`.

    Raises:
        ValueError: if they have another number of rows.
    """
    if indices.ndim != 2 or len(indices) != axes:
        raise ValueError(f"indices have shape {tuple(indices.shape)}; this lattice takes ({axes}, N)")
    return indices


def _sum(tables: Sequence[Tensor], index: Tensor) -> Tensor:
    """The sum of one row of each table."""
    total = tables[0].index_select(0, index[0])
    for table, column in zip(tables[1:], index[1:], strict=True):
        total += table.index_select(0, column)
    return total
