"""Rays through the cube [-1, 1]^3: intersections, and queries of the colours that a field shows along them."""

from __future__ import annotations

import torch
from attrs import field, frozen
from torch import Tensor

from ddmi_core.api import Queries

PARALLEL = 1e-9  # least component of a direction; smaller ones count as parallel to the face
WHITE = 1.0


def _middle() -> Tensor:
    """Sample positions in the middle of their intervals."""
    return torch.full((1, 1), 0.5)


def _anywhere() -> Tensor:
    """Bounds of an object whose position is unknown."""
    return torch.tensor([[[0.0, torch.inf]]])


def _white() -> Tensor:
    return torch.full((1, 1, 3), WHITE)


@frozen(eq=False, kw_only=True)
class RayQueries(Queries):
    """Rays with the colours that a field should show along them.

    `coords` are the points `(B, N, 3)` at which rays enter the cube, or start inside it; `extra` are unit directions
    `(B, N, 3)`; `targets` are colours `(B, N, 3)` in [-1, 1].
    """

    jitter: Tensor = field(factory=_middle)  # (B, N) or (1, 1), in [0, 1]: sample position within intervals
    background: Tensor = field(factory=_white)  # (B, N, 3) or (1, 1, 3), in [-1, 1]: colour behind the cube
    training: bool = False  # use `density_with_gradient_floor`
    close: Tensor = field(factory=_anywhere)  # (B, N, 2) or (1, 1, 2): distances between which the object lies


def crossing(
    origins: Tensor, directions: Tensor, low: Tensor | float = -1.0, high: Tensor | float = 1.0
) -> tuple[Tensor, Tensor]:
    """Distances at which rays enter and leave a box, the cube [-1, 1]^3 by default.

    Args:
        origins: `(..., 3)`, of the rays.
        directions: `(..., 3)`, unit vectors.
        low: lowest corner of the box, `(3,)`, or one number.
        high: highest corner of the box.

    Returns:
        two tensors `(...)`, not negative; for rays that miss the box, the second is not larger than the first.

    Example:
        >>> near, far = crossing(torch.tensor([[0.0, 0.0, -3.0]]), torch.tensor([[0.0, 0.0, 1.0]]))
        >>> near.item(), far.item()
        (2.0, 4.0)
    """
    steep = torch.where(directions.abs() < PARALLEL, PARALLEL, directions)
    first, second = (low - origins) / steep, (high - origins) / steep
    near = torch.minimum(first, second).amax(dim=-1).clamp_min(0)
    far = torch.maximum(first, second).amin(dim=-1)
    return near, far.clamp_min(0)


def entering(origins: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
    """Points at which rays enter the cube, or start inside it, and which rays cross it.

    Args:
        origins: `(..., 3)`.
        directions: `(..., 3)`, unit vectors.

    Returns:
        points `(..., 3)`, in [-1, 1] for rays that cross the cube, and `(...)`, whether rays cross it.
    """
    near, far = crossing(origins, directions)
    places = origins + near[..., None] * directions
    hit = far > near
    return torch.where(hit[..., None], places.clamp(-1, 1), places), hit
