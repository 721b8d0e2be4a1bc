"""Evaluation on regular lattices: separable two-tap interpolation, by chunks that stay in the cache."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from math import prod

import torch
from attrs import frozen
from torch import Tensor, nn

from ddmi_core.fields.layout import Layout
from ddmi_core.fields.planes import Planes
from ddmi_core.fields.readout import CoarseToFineReadout

CHUNK = 4096


def cell_centres(n: int, device: torch.device | str = "cpu") -> Tensor:
    """Centres `(2i + 1)/n - 1` of n cells in [-1, 1] (`align_corners=False`)."""
    return (2 * torch.arange(n, dtype=torch.float64, device=device) + 1).div(n).sub(1).float()


@frozen
class Taps:
    """Two-tap linear interpolation along one axis: `(1 - weight) * grid[low] + weight * grid[high]`."""

    low: Tensor  # (n,), integers
    high: Tensor  # (n,), integers
    weight: Tensor  # (n,)

    def __getitem__(self, part: slice) -> Taps:
        """Taps of some of the coordinates."""
        return Taps(self.low[part], self.high[part], self.weight[part])

    def apply(self, grid: Tensor, dim: int) -> Tensor:
        """Interpolate a grid along one dimension."""
        shape = [1] * grid.ndim
        shape[dim] = -1
        low, high = grid.index_select(dim, self.low), grid.index_select(dim, self.high)
        return low.lerp_(high, self.weight.view(shape))


def taps(coords: Tensor, size: int) -> Taps:
    """Taps of coordinates `(n,)` in [-1, 1] on an axis with `size` cells, constant beyond the outer centres."""
    position = ((coords.double() + 1) * (size / 2) - 0.5).clamp(0, size - 1)
    low = position.floor().long()
    return Taps(low, (low + 1).clamp(max=size - 1), (position - low).to(coords.dtype))


class _FoldedReadout:
    """The readout with the constant extras in its biases and its weights transposed, split by input."""

    def __init__(self, readout: CoarseToFineReadout, extra: Tensor) -> None:
        self.joining = readout.config.joining
        self.activation = {"relu": torch.relu_, "silu": nn.SiLU(inplace=True), "gelu": nn.GELU()}[
            readout.config.activation
        ]
        self.blocks = []
        hidden = 0
        for block in readout.blocks:
            first, *rest = list(block)  # type: ignore[call-overload]
            columns = first.weight.shape[1] - readout.extra
            bias = first.bias + first.weight[:, columns:] @ extra
            state = first.weight[:, :hidden].t().contiguous()
            own = first.weight[:, hidden:columns].t().contiguous()
            self.blocks.append((state, own, bias, [(layer.weight.t().contiguous(), layer.bias) for layer in rest]))
            hidden = readout.config.width
        self.head = readout.head.weight.t().contiguous(), readout.head.bias

    def __call__(self, embeddings: Sequence[Tensor]) -> Tensor:
        if self.joining == "input":
            embeddings = [torch.cat(list(embeddings), dim=-1), *[e[:, :0] for e in embeddings[1:]]]
        hidden = embeddings[0]
        for number, ((state, own, bias, rest), embedding) in enumerate(zip(self.blocks, embeddings, strict=True)):
            total = torch.addmm(bias, hidden, state) if number else torch.addmm(bias, embedding, own)
            if number and own.shape[0]:
                total.addmm_(embedding, own)
            hidden = self.activation(total)
            for weight, offset in rest:
                hidden = self.activation(torch.addmm(offset, hidden, weight))
        return torch.addmm(self.head[1], hidden, self.head[0])


class LatticeEvaluator:
    """One field on one regular lattice, evaluated by blocks of at most `chunk` points.

    Args:
        basis: basis fields of one signal (B = 1), coarse to fine.
        layout: axes and planes.
        readout: a `CoarseToFineReadout`.
        axes: one 1-D tensor of coordinates an axis, in the layout's order.
        extra: `(X,)`, constant over the lattice.
        chunk: most points evaluated at once; bounds the memory.
    """

    def __init__(
        self,
        basis: Sequence[Planes],
        layout: Layout,
        readout: CoarseToFineReadout,
        axes: Sequence[Tensor],
        extra: Tensor,
        chunk: int = CHUNK,
    ) -> None:
        self.layout, self.axes, self.join = layout, axes, readout.config.planes
        self.readout = _FoldedReadout(readout, extra)
        self.sizes = tuple(len(axis) for axis in axes)
        self.steps = block_steps(self.sizes, chunk)
        # Channels last, so that a point's features are one contiguous row.
        self.grids = [[grid[0].movedim(0, -1).contiguous() for grid in planes] for planes in basis]
        self.taps = [
            [
                tuple(taps(axes[column], grid.shape[-2 - place]) for place, column in enumerate(columns))
                for grid, columns in zip(grids, layout.columns, strict=True)
            ]
            for grids in self.grids
        ]

    def slabs(self) -> Iterator[tuple[int, Tensor]]:
        """Yield `(start, values)` along the slowest axis; values are `(m, ..., V)`, slowest axis first."""
        slowest = self.sizes[-1]
        for start in range(0, slowest, self.steps[-1]):
            stop = min(start + self.steps[-1], slowest)
            yield start, self._slab(slice(start, stop))

    def _slab(self, last: slice) -> Tensor:
        """Values of one slab: all points whose slowest coordinate lies in the slice."""
        parts = [
            [slice(i, min(i + step, size)) for i in range(0, size, step)]
            for size, step in zip(self.sizes[:-1], self.steps[:-1], strict=True)
        ]
        shape = (last.stop - last.start, *reversed(self.sizes[:-1]), self.readout.head[1].shape[0])
        out = self.readout.head[1].new_empty(shape)
        for block in product(*reversed(parts)):
            out[(slice(None), *block)] = self._block((*reversed(block), last))
        return out

    def _block(self, ranges: tuple[slice, ...]) -> Tensor:
        shape = [part.stop - part.start for part in reversed(ranges)]
        embeddings = [self._embedding(scale, ranges, shape) for scale in range(len(self.grids))]
        return self.readout(embeddings).view(*shape, -1)

    def _embedding(self, scale: int, ranges: tuple[slice, ...], shape: list[int]) -> Tensor:
        parts = []
        for grid, columns, axis_taps in zip(self.grids[scale], self.layout.columns, self.taps[scale], strict=True):
            features = grid
            # The slower axis first: it has the fewer coordinates in a block, so the second pass costs least.
            for place in reversed(range(len(columns))):
                features = axis_taps[place][ranges[columns[place]]].apply(features, len(columns) - 1 - place)
            if columns[0] > columns[-1]:
                features = features.transpose(0, 1)
            view = [1] * len(ranges) + [features.shape[-1]]
            for column in columns:
                view[len(ranges) - 1 - column] = ranges[column].stop - ranges[column].start
            parts.append(features.reshape(view).expand(*shape, -1))
        if len(parts) == 1:
            joined = parts[0]
        elif self.join == "sum":
            joined = parts[0] + parts[1]
            for part in parts[2:]:
                joined += part
        else:
            joined = torch.cat(parts, dim=-1)
        return joined.reshape(prod(shape), -1)


def block_steps(sizes: Sequence[int], chunk: int) -> tuple[int, ...]:
    """Points along each axis in one block: whole fast axes while they fit, at most `chunk` points in all."""
    steps, left = [], max(1, chunk)
    for size in sizes:
        step = max(1, min(size, left))
        steps.append(step)
        left //= step
    return tuple(steps)
