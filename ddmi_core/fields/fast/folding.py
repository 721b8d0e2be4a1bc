"""Folds the first linear layers, biases and constant inputs of a readout into the basis fields."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import inf

import torch
from attrs import evolve, frozen
from torch import Tensor, nn

from ddmi_core.fields.layout import Layout
from ddmi_core.fields.planes import Planes
from ddmi_core.fields.readout import CoarseToFineReadout

_IN_PLACE: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu_,
    "silu": nn.SiLU(inplace=True),
    "gelu": nn.GELU(),
}
# Each activation falls up to here, and does not fall from here.
_LOWEST = {"relu": -inf, "silu": -1.2784645, "gelu": -0.7517916}


Layers = tuple[tuple[Tensor, Tensor], ...]  # weights (width, width), biases (width,)


@frozen(eq=False)
class Term:
    """Basis fields of one plane and scale, projected by the first linear layer of a block."""

    grid: Tensor  # (cells along the first column, cells along the second, width), or (cells, width) for a line
    columns: tuple[int, ...]  # of the coordinates, increasing
    plane: int  # index of the plane


@frozen(eq=False)
class FoldedBlock:
    """One block: `activation(sum of interpolated terms + hidden @ state)`, then the remaining layers.

    In residual readouts, the result is added to the hidden state, and blocks without an embedding may follow.
    """

    terms: tuple[Term, ...]  # the first one includes the bias, or that of each plane of a scale if planes have weights
    state: Tensor  # (width, width), or (0, width) in the first block
    rest: Layers
    after: tuple[Layers, ...] = ()  # residual blocks that take the hidden state alone


@frozen(eq=False)
class FoldedReadout:
    """A readout folded for one signal and constant extra columns."""

    blocks: tuple[FoldedBlock, ...]
    head: tuple[Tensor, Tensor]  # (V, width), (V, 1)
    activation: Callable[[Tensor], Tensor]  # may work in place
    lowest: float  # the activation falls up to here and does not fall from here
    wraps: tuple[bool, ...]  # whether each column of the coordinates is periodic
    residual: bool

    @property
    def channels(self) -> int:
        """Number of value channels, V."""
        return self.head[0].shape[0]

    def values(self, totals: Iterable[Tensor]) -> Tensor:
        """Values `(V, N)` from the sum of interpolated terms of each block, `(N, width)`; overwrites the sums."""
        hidden: Tensor | None = None
        for block, total in zip(self.blocks, totals, strict=True):
            if self.residual:
                hidden = self._residual(block, total, hidden)
            else:
                inputs = total if hidden is None else total.addmm_(hidden, block.state)
                hidden = self._layers(block.rest, self.activation(inputs))
        if hidden is None:
            raise ValueError("a readout has at least one block")
        if self.residual:
            hidden = self.activation(hidden)
        weight, bias = self.head
        # Few rows by many columns: several times faster than many rows by few columns.
        return torch.addmm(bias, weight, hidden.t())

    def _layers(self, layers: Layers, hidden: Tensor) -> Tensor:
        """Layers with activations."""
        for weight, bias in layers:
            hidden = self.activation(torch.addmm(bias, hidden, weight))
        return hidden

    def _residual(self, block: FoldedBlock, total: Tensor, hidden: Tensor | None) -> Tensor:
        """The hidden state after a block and those that follow it."""
        inner = total if hidden is None else total.addmm_(self._active(hidden), block.state)
        inner = self._before(block.rest, inner)
        hidden = inner if hidden is None else hidden + inner
        for layers in block.after:
            hidden = hidden + self._before(layers, hidden)
        return hidden

    def _before(self, layers: Layers, inner: Tensor) -> Tensor:
        """Layers that activations precede."""
        for weight, bias in layers:
            inner = torch.addmm(bias, self._active(inner), weight)
        return inner

    def _active(self, hidden: Tensor) -> Tensor:
        """The activation of a state that is still needed."""
        return self.activation(hidden.clone())


@torch.no_grad()
def fold(basis: Sequence[Planes], layout: Layout, readout: CoarseToFineReadout, extra: Tensor) -> FoldedReadout:
    """Fold one signal's basis fields (B = 1) and constant extra columns `(X,)` into a readout.

    Interpolation commutes with the first linear layer of a block, and its weights sum to one. Therefore weights,
    biases and extra columns can be applied to the cells of the basis fields. The result has no gradients, not even
    with respect to weights in training.
    """
    config = readout.config
    at_input = config.joining == "input"
    blocks: list[FoldedBlock] = []
    hidden = 0
    extra = readout.limited(extra)
    for number, ((weight, bias), *rest) in enumerate(readout.affine(extra)):
        layers = tuple((w.t().contiguous(), b) for w, b in rest)
        columns = weight.shape[1] - readout.extra
        bias = bias + weight[:, columns:] @ extra
        if at_input:
            scales = range(len(basis)) if number == 0 else range(0)
        else:
            scales = range(number, min(number + 1, len(basis)))
        own = weight[:, hidden:columns]
        if scales:
            terms = _terms([basis[scale] for scale in scales], own, bias, layout, config.planes)
            blocks.append(FoldedBlock(terms, weight[:, :hidden].t().contiguous(), layers))
        else:
            # A block without an embedding only adds its layers to the previous block.
            last = blocks.pop()
            more = ((weight[:, :hidden].t().contiguous(), bias), *layers)
            added = {"after": (*last.after, more)} if config.residual else {"rest": last.rest + more}
            blocks.append(evolve(last, **added))
        hidden = config.width
    # Detached: under `no_grad` a view of a parameter would still require gradients.
    head = readout.head.weight.detach().contiguous(), readout.head.bias.detach()[:, None]
    wraps = tuple(axis in layout.periodic for axis in layout.plane_axes)
    activation, lowest = _IN_PLACE[config.activation], _LOWEST[config.activation]
    return FoldedReadout(tuple(blocks), head, activation, lowest, wraps, config.residual)


def _terms(scales: Sequence[Planes], weight: Tensor, bias: Tensor, layout: Layout, join: str) -> tuple[Term, ...]:
    """Terms of one block: the basis fields of its scales, projected by its first linear layer."""
    terms: list[Term] = []
    start = 0
    # Weights of planes have a sum of one, as those of interpolation.
    biased = len(layout.planes) if layout.embedding is not None and layout.embedding.weights else 1
    for planes in scales:
        for number, (grid, columns) in enumerate(zip(planes, layout.columns, strict=True)):
            channels = grid.shape[1]
            part = weight[:, start : start + channels]
            # A grid has the first-named axis of its plane last; a term has the lower column first.
            cells = grid[0].movedim(0, -1)
            ordered = tuple(reversed(columns))
            if len(columns) == 2 and ordered[0] > ordered[1]:
                cells, ordered = cells.transpose(0, 1), columns
            projected = cells @ part.t()
            if len(terms) < biased:
                projected = projected + bias
            terms.append(Term(projected.contiguous(), ordered, number))
            if join == "concatenate" or number == len(planes) - 1:
                start += channels
    return tuple(terms)
