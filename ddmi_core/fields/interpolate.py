"""Embeddings: linear interpolation of basis fields at scattered coordinates, and joining of planes."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext

import torch
from attrs import frozen
from torch import Tensor
from torch.nn import functional as F

from ddmi_core.fields.layout import Layout
from ddmi_core.fields.planes import Planes

# Cells of an axis for each point of a patch along it, at most, for interpolation as products with matrices.
_LONGEST = 2


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


def interpolate_patch(grid: Tensor, axes: Sequence[Tensor], wraps: Sequence[bool] = (False, False)) -> Tensor:
    """Interpolate one plane on a regular patch, one axis after the other, as products with small matrices.

    The values are those of `interpolate` at all pairs of the coordinates; for patches of about as many cells as the
    plane, it takes a third to nine tenths of the time on CPUs, with gradients.

    Args:
        grid: `(B, C, H, W)` or, for a line, `(B, C, W)`.
        axes: coordinates along W, `(B, n)`, and along H, `(B, m)`; for a line, along W alone; in [-1, 1].
        wraps: whether each axis is periodic.

    Returns:
        `(B, m, n, C)`; for a line, `(B, n, C)`.
    """
    device = grid.device.type
    # Weights of bfloat16 would move the points. The device "meta" has no autocast.
    with torch.autocast(device, enabled=False) if torch.amp.is_autocast_available(device) else nullcontext():
        cells = grid.movedim(1, -1).to(axes[0].dtype)
        across = axis_taps(axes[0], grid.shape[-1], wraps[0]).matrix(grid.shape[-1])
        if grid.ndim == 3:
            return torch.bmm(across, cells)
        batch, high, wide, channels = cells.shape
        down = axis_taps(axes[1], high, wraps[1]).matrix(high)
        rows = torch.bmm(down, cells.reshape(batch, high, -1)).view(-1, wide, channels)
        return torch.bmm(across.repeat_interleave(down.shape[1], dim=0), rows).view(*down.shape[:2], -1, channels)


def embed(
    basis: Planes,
    coords: Tensor,
    layout: Layout,
    join: str,
    weights: Tensor | None = None,
    patch: Sequence[int] = (),
) -> Tensor:
    """Embedding of one scale: the interpolated planes, summed or concatenated.

    Args:
        basis: one plane `(B, C, *grid)` for each plane of the layout.
        coords: `(B, N, D)`, in [-1, 1], in the space of the planes (`Layout.in_planes`).
        layout: coordinate columns of each plane, and periodic axes.
        join: `"sum"` or `"concatenate"`.
        weights: `(B, N, P)`, of the planes (`Layout.plane_weights`); 1 if omitted.
        patch: cells along each axis, slowest first, if the N points are a regular patch; only for layouts without an
            embedding.

    Returns:
        `(B, N, E)`, where E is C for a sum and P * C for a concatenation.
    """
    parts = [
        _at_patch(grid, coords, columns, wraps, patch)
        if patch and is_separable(grid, patch, columns)
        else interpolate(grid, coords[..., list(columns)], wraps)
        for grid, columns, wraps in zip(basis, layout.columns, layout.plane_wraps, strict=True)
    ]
    if weights is not None:
        parts = [part * weights[..., number : number + 1] for number, part in enumerate(parts)]
    if len(parts) == 1:
        return parts[0]
    return torch.stack(parts).sum(dim=0) if join == "sum" else torch.cat(parts, dim=-1)


def is_separable(grid: Tensor, patch: Sequence[int], columns: Sequence[int]) -> bool:
    """Whether `interpolate_patch` is faster than `interpolate`: the matrices of long axes have more zeros."""
    sides = [patch[-1 - column] for column in columns]
    return all(size <= _LONGEST * side for size, side in zip(reversed(grid.shape[2:]), sides, strict=True))


def _at_patch(
    grid: Tensor, coords: Tensor, columns: Sequence[int], wraps: Sequence[bool], patch: Sequence[int]
) -> Tensor:
    """One plane at the points `(B, N, D)` of a regular patch, `(B, N, C)`."""
    cells = coords.reshape(len(coords), *patch, -1)
    axes, shape = [], [1] * len(patch)
    for column in columns:
        place = len(patch) - 1 - column
        axes.append(cells[..., column].movedim(1 + place, 1).reshape(len(coords), patch[place], -1)[..., 0])
        shape[place] = patch[place]
    values = interpolate_patch(grid, axes, wraps)
    if columns[0] > columns[-1]:
        values = values.transpose(1, 2)  # the axis of the earlier column comes last
    return values.reshape(len(grid), *shape, -1).expand(-1, *patch, -1).flatten(1, -2)


@frozen(eq=False)
class Taps:
    """Indices and weights of linear interpolation: the cells on both sides, and the weight of the upper cell."""

    low: Tensor  # (..., n), integers
    high: Tensor  # (..., n), integers
    weight: Tensor  # (..., n), in [0, 1]

    def matrix(self, size: int) -> Tensor:
        """The weights of all `size` cells of the axis, `(..., n, size)`."""
        low, high, weight = self.low[..., None], self.high[..., None], self.weight[..., None]
        return weight.new_zeros(*self.weight.shape, size).scatter(-1, low, 1 - weight).scatter_add(-1, high, weight)


def axis_taps(coords: Tensor, size: int, wraps: bool = False) -> Taps:
    """Taps for coordinates `(..., n)` in [-1, 1] on an axis of `size` cells.

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
