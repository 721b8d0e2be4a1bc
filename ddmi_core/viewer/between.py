"""Vectors between two others, along the sphere that they lie on."""

from __future__ import annotations

import torch
from torch import Tensor

PARALLEL = 1e-4  # radians, and how near to half a turn: the arc is then not defined


def spherical(first: Tensor, second: Tensor, mix: float) -> Tensor:
    """The vector `mix` of the way along the arc from one to another; its length changes evenly as well.

    High-dimensional Gaussian noise lies near a sphere, and a straight line between two of its points leaves it.
    Vectors along one line, which have no arc, are joined by that line.

    Args:
        first, second: `(L,)`.
        mix: 0 gives the first and 1 the second.
    """
    lengths = first.norm(), second.norm()
    if not min(lengths) > 0:
        return torch.lerp(first, second, mix)
    start, end = first / lengths[0], second / lengths[1]
    # More exact for small angles than the arc cosine (Kahan).
    angle = 2 * torch.atan2((start - end).norm(), (start + end).norm())
    if not PARALLEL < angle < torch.pi - PARALLEL:
        return torch.lerp(first, second, mix)
    parts = torch.sin((1 - mix) * angle) * start + torch.sin(mix * angle) * end
    between: Tensor = torch.lerp(*lengths, mix) * parts / torch.sin(angle)
    return between
