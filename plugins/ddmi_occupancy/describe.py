"""A description of shapes without learned weights: how full coarse cells are, and how heights are distributed."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from ddmi_core.api import Field, Queries, Renderer
from ddmi_occupancy.signal import ShapeSignal

CELLS = 5  # along each axis: shapes are described by the share of each cell that is inside
POINTS = 32  # points along each axis that the shares are counted on


def describe(fields: Field, renderer: Renderer) -> Tensor:
    """Features `(B, 125)` of fields."""
    points = _lattice()
    queries = Queries(points.expand(len(fields), -1, -1), points.new_zeros(0), points.new_zeros(0))
    with torch.no_grad():
        inside = renderer.observe(fields, queries)[..., 0] > 0
    return _shares(points.expand(len(fields), -1, -1), inside.float().cpu(), inside.new_ones(1).float().cpu())


def describe_signal(signal: ShapeSignal) -> Tensor:
    """Features `(B, 125)` of shapes, estimated from their points."""
    return _shares(signal.points.float().cpu(), signal.inside.float().cpu(), signal.weights.float().cpu())


def _shares(points: Tensor, inside: Tensor, weights: Tensor) -> Tensor:
    """Weighted share of the points of each cell that are inside: `(B, CELLS^3)`; empty cells count as outside."""
    cell = ((points + 1) * (CELLS / 2)).long().clamp(0, CELLS - 1)
    index = (cell[..., 2] * CELLS + cell[..., 1]) * CELLS + cell[..., 0]
    weights = weights.expand(inside.shape)
    filled = inside.new_zeros(len(inside), CELLS**3).scatter_add_(1, index, inside * weights)
    total = inside.new_zeros(len(inside), CELLS**3).scatter_add_(1, index, weights)
    return filled / total.clamp(min=1e-9)


@cache
def _lattice() -> Tensor:
    axis = (2 * torch.arange(POINTS) + 1) / POINTS - 1
    z, y, x = torch.meshgrid(axis, axis, axis, indexing="ij")
    return torch.stack([x, y, z], dim=-1).reshape(-1, 3)
