"""Rays through the cube [-1, 1]^3, and queries that ask a field for the colours that they show."""

from __future__ import annotations

import torch
from attrs import field, frozen
from torch import Tensor

from ddmi_core.api import Queries

PARALLEL = 1e-9  # component of a direction below which a ray runs along a face
WHITE = 1.0


def _middle() -> Tensor:
    """Places in the middle of their intervals."""
    return torch.full((1, 1), 0.5)


def _anywhere() -> Tensor:
    """Nothing is known of where the object is."""
    return torch.tensor([[[0.0, torch.inf]]])


def _white() -> Tensor:
    return torch.full((1, 1, 3), WHITE)


@frozen(eq=False, kw_only=True)
class RayQueries(Queries):
    """Rays with the colours that a field should show along them.

    `coords` are the places at which rays enter the cube, or begin inside it, and `extra` their directions, `(B, N, 3)`
    of length one; `targets` are colours `(B, N, 3)` in [-1, 1].
    """

    jitter: Tensor = field(factory=_middle)  # (B, N) or (1, 1), in [0, 1]: where in its intervals a ray is sampled
    background: Tensor = field(factory=_white)  # (B, N, 3) or (1, 1, 3), in [-1, 1]: what is behind the cube
    training: bool = False  # whether gradients should reach what is empty, see `density_with_gradient_floor`
    close: Tensor = field(factory=_anywhere)  # (B, N, 2) or (1, 1, 2), distances: where the object may be on the ray


def crossing(
    origins: Tensor, directions: Tensor, low: Tensor | float = -1.0, high: Tensor | float = 1.0
) -> tuple[Tensor, Tensor]:
    """Distances at which rays enter and leave the cube, or another box.

    Args:
        origins: `(..., 3)`, where rays begin.
        directions: `(..., 3)`, of length one.
        low: lowest corner of the box, `(3,)`, or one number.
        high: its highest corner.

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
    """Places at which rays enter the cube or begin inside it, and which rays cross it.

    Args:
        origins: `(..., 3)`.
        directions: `(..., 3)`, of length one.

    Returns:
        places `(..., 3)`, those in [-1, 1] of rays that cross, and `(...)`, whether they do.
    """
    near, far = crossing(origins, directions)
    places = origins + near[..., None] * directions
    hit = far > near
    return torch.where(hit[..., None], places.clamp(-1, 1), places), hit
