"""Embeddings: linear interpolation of basis fields at scattered coordinates, and joining of planes."""

from __future__ import annotations

import torch
from attrs import frozen
from torch import Tensor
from torch.nn import functional as F

from ddmi_core.fields.layout import Layout
from ddmi_core.fields.planes import Planes


def interpolate(grid: Tensor, coords: Tensor) -> Tensor:
    """Interpolate one plane linearly; values are constant beyond the outermost cell centres.

    Args:
        grid: `(B, C, H, W)` or, for a line, `(B, C, W)`.
        coords: `(B, N, 2)` or `(B, N, 1)`, in [-1, 1]; column 0 runs along W.

    Returns:
        `(B, N, C)`
    """
    if grid.ndim == 3:
        grid = grid.unsqueeze(2)
        coords = torch.cat([coords, torch.zeros_like(coords)], dim=-1)
    sampled = F.grid_sample(grid, coords.unsqueeze(1), mode="bilinear", padding_mode="border", align_corners=False)
    return sampled.squeeze(2).transpose(1, 2)


def embed(basis: Planes, coords: Tensor, layout: Layout, join: str) -> Tensor:
    """Embedding of one scale: the interpolated planes, summed or concatenated.

    Args:
        basis: one plane `(B, C, *grid)` for each plane of the layout.
        coords: `(B, N, D)`, in [-1, 1].
        layout: coordinate columns of each plane.
        join: `"sum"` or `"concatenate"`.

    Returns:
        `(B, N, E)`, where E is C for a sum and P * C for a concatenation.
    """
    parts = [interpolate(grid, coords[..., list(columns)]) for grid, columns in zip(basis, layout.columns, strict=True)]
    if len(parts) == 1:
        return parts[0]
    return torch.stack(parts).sum(dim=0) if join == "sum" else torch.cat(parts, dim=-1)


@frozen(eq=False)
class Taps:
    """Indices and weights of linear interpolation: the cells on both sides, and the weight of the upper cell."""

    low: Tensor  # (n,), integers
    high: Tensor  # (n,), integers
    weight: Tensor  # (n,), in [0, 1]


def axis_taps(coords: Tensor, size: int) -> Taps:
    """Taps for coordinates `(n,)` in [-1, 1] on an axis of `size` cells, constant beyond the outer centres."""
    position = ((coords.double() + 1) * (size / 2) - 0.5).clamp(0, size - 1)
    low = position.floor().long()
    return Taps(low, (low + 1).clamp(max=size - 1), (position - low).to(coords.dtype))
