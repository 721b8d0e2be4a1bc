"""Embeddings: linear interpolation of basis fields at scattered coordinates, and joining of planes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from attrs import frozen
from torch import Tensor
from torch.nn import functional as F

from ddmi_core.fields.layout import Layout
from ddmi_core.fields.planes import Planes


def wrap_around(grid: Tensor, sizes: Sequence[int]) -> Tensor:
    """Extend a grid on both sides of its axes with the cells at their other end.

    The values and gradients are those of `F.pad(mode="circular")`, whose copies take 1.5 times as long on CPUs.

    Args:
        grid: `(B, C, *grid)`.
        sizes: cells on each side of each grid axis, slowest first; at most the cells of the axis.
    """
    for axis in reversed(range(len(sizes))):
        if size := sizes[axis]:
            dim = axis - len(sizes)
            length = grid.shape[dim]
            grid = torch.cat([grid.narrow(dim, length - size, size), grid, grid.narrow(dim, 0, size)], dim=dim)
    return grid


def interpolate(grid: Tensor, coords: Tensor, wraps: Sequence[bool] = (False, False)) -> Tensor:
    """Interpolate one plane linearly; values are constant beyond the outermost cell centres.

    Along a periodic axis the last cell comes before the first, and coordinates count modulo 2.

    Args:
        grid: `(B, C, H, W)` or, for a line, `(B, C, W)`.
        coords: `(B, N, 2)` or `(B, N, 1)`, in [-1, 1]; column 0 runs along W.
        wraps: whether the axis of each column is periodic.

    Returns:
        `(B, N, C)`
    """
    if grid.ndim == 3:
        grid = grid.unsqueeze(2)
        coords = torch.cat([coords, torch.zeros_like(coords)], dim=-1)
    if any(wraps):
        columns = list(coords.unbind(dim=-1))
        for column, wrap in enumerate(wraps):
            if wrap:
                size = grid.shape[-1 - column]
                # With one more cell on either side, no point lies beyond the outermost centres.
                grid = wrap_around(grid, (1, 0) if column else (0, 1))
                columns[column] = (torch.remainder(columns[column] + 1, 2) - 1) * (size / (size + 2))
        coords = torch.stack(columns, dim=-1)
    sampled = F.grid_sample(grid, coords.unsqueeze(1), mode="bilinear", padding_mode="border", align_corners=False)
    return sampled.squeeze(2).transpose(1, 2)


def embed(basis: Planes, coords: Tensor, layout: Layout, join: str, weights: Tensor | None = None) -> Tensor:
    """Embedding of one scale: the interpolated planes, summed or concatenated.

    Args:
        basis: one plane `(B, C, *grid)` for each plane of the layout.
        coords: `(B, N, D)`, in [-1, 1], in the space of the planes (`Layout.in_planes`).
        layout: coordinate columns of each plane, and periodic axes.
        join: `"sum"` or `"concatenate"`.
        weights: `(B, N, P)`, of the planes (`Layout.plane_weights`); 1 if omitted.

    Returns:
        `(B, N, E)`, where E is C for a sum and P * C for a concatenation.
    """
    parts = [
        interpolate(grid, coords[..., list(columns)], wraps)
        for grid, columns, wraps in zip(basis, layout.columns, layout.plane_wraps, strict=True)
    ]
    if weights is not None:
        parts = [part * weights[..., number : number + 1] for number, part in enumerate(parts)]
    if len(parts) == 1:
        return parts[0]
    return torch.stack(parts).sum(dim=0) if join == "sum" else torch.cat(parts, dim=-1)


@frozen(eq=False)
class Taps:
    """Indices and weights of linear interpolation: the cells on both sides, and the weight of the upper cell."""

    low: Tensor  # (n,), integers
    high: Tensor  # (n,), integers
    weight: Tensor  # (n,), in [0, 1]


def axis_taps(coords: Tensor, size: int, wraps: bool = False) -> Taps:
    """Taps for coordinates `(n,)` in [-1, 1] on an axis of `size` cells.

    Beyond the outer centres, values are constant or, if the axis wraps, continue on the other side. A coordinate that
    is not a number has a weight that is not one, and cells of the axis.
    """
    position = (coords.double() + 1) * (size / 2) - 0.5
    if wraps:
        below = position.floor()
        low = below.long() % size
        return Taps(low, (low + 1) % size, (position - below).to(coords.dtype))
    position = position.clamp(0, size - 1)
    low = position.floor().long().clamp(0, size - 1)  # of NaN, the integer is arbitrary
    return Taps(low, (low + 1).clamp(max=size - 1), (position - low).to(coords.dtype))
