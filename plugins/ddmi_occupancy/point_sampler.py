"""Sampler of training points in space, half of them near the surface."""

from __future__ import annotations

import torch
from torch import Tensor

from ddmi_core.api import CoordinateSampler, Queries, per_row
from ddmi_occupancy.signal import ShapeSignal

# The loss is a mix of its mean near the surface, with this weight, and its mean over [-1, 1]^3. At one half, all points
# have equal weight, since half of them are near the surface.
NEAR = 0.5


class PointSampler(CoordinateSampler[ShapeSignal]):
    """Draws points in space of a signal; targets are 1 inside and 0 outside.

    Args:
        near: weight of the mean near the surface in the loss, in [0, 1].
    """

    def __init__(self, near: float = NEAR) -> None:
        if not 0 <= near <= 1:
            raise ValueError(f"near={near} is out of range; give a number from 0 to 1")
        self.near = near

    def sample(self, signal: ShapeSignal, n: int, generator: torch.Generator) -> Queries:
        """`n` points of each shape, drawn with replacement.

        Raises:
            ValueError: if `n` is below 1.
        """
        if n < 1:
            raise ValueError(f"n={n} is out of range; sample at least 1 point")
        batch, count, axes = signal.points.shape

        def draw(rows: int, generator: torch.Generator) -> Tensor:
            return torch.randint(count, (rows, n), generator=generator, device=generator.device)

        drawn = per_row(generator, batch, draw).to(signal.points.device)

        def of(column: Tensor) -> Tensor:
            return column.gather(1, drawn)

        coords = signal.points.gather(1, drawn[..., None].expand(-1, -1, axes))
        # Weights w give the mean over the cube, and 2 - w the mean near the surface, where half of the points are.
        weights = 2 * self.near + (1 - 2 * self.near) * of(signal.weights)
        return Queries(
            coords=coords,
            extra=coords.new_zeros(batch, n, 0),
            targets=of(signal.inside)[..., None].float(),
            weights=weights,
        )
