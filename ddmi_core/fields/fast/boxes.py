"""Bounds of one field over boxes: interval arithmetic through interpolation and readout."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf

import torch
from attrs import evolve
from torch import Tensor
from torch.nn import functional as F

from ddmi_core.fields.coordinates import cell_centres
from ddmi_core.fields.fast.folding import FoldedReadout, Layers, Term
from ddmi_core.fields.fast.subset import checked_indices
from ddmi_core.fields.interpolate import axis_taps

CHUNK = 8192


class BoxEvaluator:
    """Bounds the values of one field over boxes of a lattice, without gradients.

    Interval arithmetic (Moore 1966; for networks, arXiv 1810.12715, section 3): no value of the field in a box lies
    outside of its bounds, up to rounding. The bounds are wider than the range of the values, in proportion to the size
    of the box. They are evaluated by a readout of twice the width, whose states are lowest and highest values.

    Args:
        readout: the readout with the basis fields of one signal folded in.
        edges: one 1-D tensor of increasing coordinates per axis, in the layout's order, between which the boxes lie.
        chunk: most boxes evaluated at once; bounds the memory.
    """

    def __init__(self, readout: FoldedReadout, edges: Sequence[Tensor], chunk: int = CHUNK) -> None:
        self.readout, self.chunk = _doubled(readout), chunk
        self.shape = tuple(len(edge) - 1 for edge in edges)
        self.tables = [
            torch.cat([_bounds_of(term, edges, readout.wraps) for term in block.terms]) for block in readout.blocks
        ]

    @torch.no_grad()
    def at(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Lowest and highest values `(V, N)` in boxes.

        Args:
            indices: `(D, N)`, whole numbers from 0: one row per axis, in the layout's order.

        Raises:
            ValueError: if the indices have another number of rows.
        """
        indices = checked_indices(indices, len(self.shape)).to(self.tables[0].device)
        found = self.tables[0].new_empty(self.readout.channels, indices.shape[1])
        for start in range(0, indices.shape[1], self.chunk):
            part = slice(start, start + self.chunk)
            totals = (
                F.embedding_bag(self._rows(block.terms, indices[:, part]), table, mode="sum")
                for block, table in zip(self.readout.blocks, self.tables, strict=True)
            )
            found[:, part] = self.readout.values(totals)
        low, high = found.chunk(2)
        return low, high

    def _rows(self, terms: Sequence[Term], index: Tensor) -> Tensor:
        """Rows `(N, terms)` of boxes in the table of a block."""
        rows, start = [], 0
        for term in terms:
            row, count = torch.full_like(index[0], 0), 1
            for column in term.columns:
                row, count = row * self.shape[column] + index[column], count * self.shape[column]
            rows.append(row + start)
            start += count
        return torch.stack(rows, dim=1)


def _doubled(readout: FoldedReadout) -> FoldedReadout:
    """The readout on bounds: states `(N, 2 width)` are lowest values, then highest ones."""
    blocks = (
        evolve(
            block,
            state=_on_bounds(block.state),
            rest=_layers(block.rest),
            after=tuple(_layers(layers) for layers in block.after),
        )
        for block in readout.blocks
    )
    weight, bias = readout.head
    head = _on_bounds(weight), torch.cat([bias, bias])
    return evolve(readout, blocks=tuple(blocks), head=head, activation=_range(readout.activation, readout.lowest))


def _layers(layers: Layers) -> Layers:
    return tuple((_on_bounds(weight), torch.cat([bias, bias])) for weight, bias in layers)


def _on_bounds(weight: Tensor) -> Tensor:
    """Weights from bounds to bounds: negative weights take the lowest value from the highest one, and the reverse."""
    rising, falling = weight.clamp_min(0), weight.clamp_max(0)
    return torch.cat([torch.cat([rising, falling], dim=1), torch.cat([falling, rising], dim=1)])


def _range(activation: Callable[[Tensor], Tensor], lowest: float) -> Callable[[Tensor], Tensor]:
    """An activation on bounds, which falls up to `lowest` and does not fall from there."""
    if lowest == -inf:
        return activation

    def ranged(bounds: Tensor) -> Tensor:
        low, high = bounds.chunk(2, dim=1)
        least = activation(torch.minimum(low.clamp_min(lowest), high))
        return torch.cat([least, torch.maximum(activation(low.clone()), activation(high.clone()))], dim=1)

    return ranged


def _bounds_of(term: Term, edges: Sequence[Tensor], wraps: Sequence[bool]) -> Tensor:
    """Lowest and highest values of a projected plane over all boxes along its columns: `(boxes, 2 width)`.

    Interpolation is linear along each axis between edges and cell centres, so its extremes lie there.
    """
    width = term.grid.shape[-1]
    # Lowest values and, negated, highest ones, so that one pass takes the least of both.
    found = torch.cat([term.grid, -term.grid], dim=-1)
    for dim, column in enumerate(term.columns):
        edge, size = edges[column], term.grid.shape[dim]
        knots = torch.cat([edge, cell_centres(size).to(edge)]).sort().values
        taps = axis_taps(knots, size, wraps[column])
        share = taps.weight.view(-1, *[1] * (term.grid.ndim - 1 - dim))
        found = found.index_select(dim, taps.low).lerp_(found.index_select(dim, taps.high), share)
        first = torch.searchsorted(knots, edge[:-1])
        count = torch.searchsorted(knots, edge[1:]) - first
        least = found.index_select(dim, first)
        for ahead in range(1, int(count.max()) + 1):
            least = torch.minimum(least, found.index_select(dim, first + count.clamp_max(ahead)))
        found = least
    found[..., width:].neg_()
    return found.reshape(-1, 2 * width)
