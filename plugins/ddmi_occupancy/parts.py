"""Parts of the domain: the sampler of training points, and the encoder of surface points."""

from __future__ import annotations

import torch
from torch import Tensor

from ddmi_core.api import CoordinateSampler, Domain, Queries
from ddmi_core.parts import AutoencoderConfig, PointEncoder
from ddmi_occupancy.settings import OccupancySettings
from ddmi_occupancy.signal import ShapeSignal

# The loss is a mix of its mean near the surface, with this weight, and its mean over [-1, 1]^3. At one half, all points
# have equal weight, since half of them are near the surface.
NEAR = 0.5


class PointSampler(CoordinateSampler):
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
        drawn = torch.randint(count, (batch, n), generator=generator, device=generator.device).to(signal.points.device)

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


def sampler(domain: Domain, settings: OccupancySettings) -> PointSampler:
    """The sampler of points, half of them uniform and half near the surface."""
    return PointSampler()


def encoder(domain: Domain, config: AutoencoderConfig, settings: OccupancySettings) -> PointEncoder:
    """The encoder: surface points with normals are scattered to planes of `settings.plane` cells along each axis."""
    return PointEncoder(
        surface, normals, len(domain.layout.axes), domain.layout, settings.plane, config.latent_channels, config.encoder
    )


def surface(signal: ShapeSignal) -> Tensor:
    """Input points of the encoder: `(B, M, 3)`."""
    return signal.surface


def normals(signal: ShapeSignal) -> Tensor:
    """Features of the input points: `(B, M, 3)`."""
    return signal.normals
