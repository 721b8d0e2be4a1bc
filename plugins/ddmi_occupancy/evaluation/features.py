"""Shape features without learned weights: the occupied share of each cell of a coarse grid."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from ddmi_core.api import Field
from ddmi_core.parts import cell_centres, lattice_points
from ddmi_occupancy.evaluation.metrics import inside
from ddmi_occupancy.rendering import OccupancyRenderer
from ddmi_occupancy.signal import ShapeSignal

CELLS = 5  # of the coarse grid, along each axis
POINTS = 32  # at which fields are evaluated, along each axis


def describe(fields: Field, renderer: OccupancyRenderer) -> Tensor:
    """Features `(B, 125)` of fields."""
    points = _lattice().expand(len(fields), -1, -1)
    return _shares(points, inside(fields, points, renderer).float(), torch.ones(1))


def describe_signal(signal: ShapeSignal) -> Tensor:
    """Features `(B, 125)` of signals, estimated from their weighted points."""
    return _shares(signal.points.float().cpu(), signal.inside.float().cpu(), signal.weights.float().cpu())


def _shares(points: Tensor, filled: Tensor, weights: Tensor) -> Tensor:
    """Weighted share of the points of each cell that are inside, `(B, CELLS^3)`; 0 for cells without points."""
    cell = ((points + 1) * (CELLS / 2)).long().clamp(0, CELLS - 1)
    index = (cell[..., 2] * CELLS + cell[..., 1]) * CELLS + cell[..., 0]
    weights = weights.expand(filled.shape)
    inner = filled.new_zeros(len(filled), CELLS**3).scatter_add_(1, index, filled * weights)
    total = filled.new_zeros(len(filled), CELLS**3).scatter_add_(1, index, weights)
    return inner / total.clamp(min=1e-9)


@cache
def _lattice() -> Tensor:
    return lattice_points((cell_centres(POINTS),) * 3)
