"""The domain's parts: which points training looks at, and what the encoder sees."""

from __future__ import annotations

import torch
from torch import Tensor

from ddmi_core.api import CoordinateSampler, Domain, Queries
from ddmi_core.parts import AutoencoderConfig, PointEncoder
from ddmi_occupancy.settings import OccupancySettings
from ddmi_occupancy.signal import ShapeSignal

# The loss is this share of its mean near the surface, and the rest of its mean over [-1, 1]^3. At a half, points that
# are half uniform and half near the surface count alike.
NEAR = 0.5


class PointSampler(CoordinateSampler):
    """Draws some of a signal's points in space; targets are 1 inside and 0 outside.

    Args:
        near: share of the mean near the surface in the weighted loss, in [0, 1].
    """

    def __init__(self, near: float = NEAR) -> None:
        if not 0 <= near <= 1:
            raise ValueError(f"near={near} is not a share; give a number from 0 to 1")
        self.near = near

    def sample(self, signal: ShapeSignal, n: int, generator: torch.Generator) -> Queries:
        """`n` points of each shape, drawn with replacement.

        Raises:
            ValueError: if `n` is below 1.
        """
        if n < 1:
            raise ValueError(f"n={n} points cannot be sampled; ask for at least 1")
        batch, count, axes = signal.points.shape
        drawn = torch.randint(count, (batch, n), generator=generator, device=generator.device).to(signal.points.device)

        def of(column: Tensor) -> Tensor:
            return column.gather(1, drawn)

        coords = signal.points.gather(1, drawn[..., None].expand(-1, -1, axes))
        # Weights w give the mean over the cube; as half of the points are near the surface, 2 - w gives the mean there.
        weights = 2 * self.near + (1 - 2 * self.near) * of(signal.weights)
        return Queries(
            coords=coords,
            extra=coords.new_zeros(batch, n, 0),
            targets=of(signal.inside)[..., None].float(),
            weights=weights,
        )


def sampler(domain: Domain, settings: OccupancySettings) -> PointSampler:
    """Points half uniform, half near the surface."""
    return PointSampler()


def encoder(domain: Domain, config: AutoencoderConfig, settings: OccupancySettings) -> PointEncoder:
    """Points on the surface with their normals, scattered to planes of `settings.plane` cells along each axis."""
    return PointEncoder(
        surface, normals, len(domain.layout.axes), domain.layout, settings.plane, config.latent_channels, config.encoder
    )


def surface(signal: ShapeSignal) -> Tensor:
    """Points that the encoder sees: `(B, M, 3)`."""
    return signal.surface


def normals(signal: ShapeSignal) -> Tensor:
    """Their features: `(B, M, 3)`."""
    return signal.normals
