"""Encoder, ray sampler and renderer of the domain, built from its settings."""

from __future__ import annotations

from torch import Tensor

from ddmi_core.api import Domain, Encoder
from ddmi_core.errors import DataError
from ddmi_core.parts import AutoencoderConfig, PointEncoder
from ddmi_nerf.rendering.ray_sampler import RaySampler
from ddmi_nerf.rendering.renderer import NerfRenderer
from ddmi_nerf.rendering.spherical_harmonics import value_names
from ddmi_nerf.settings import BACKGROUNDS, NerfSettings
from ddmi_nerf.signal import ViewSignal
from ddmi_nerf.view_encoder import ViewEncoder


def encoder(domain: Domain, config: AutoencoderConfig, settings: NerfSettings) -> Encoder:
    """Encoder of coloured points or of posed images, with planes of `settings.plane` cells along each axis."""
    if settings.encoder == "views":
        return ViewEncoder(domain.layout, settings.plane, config.latent_channels, config.encoder)
    return PointEncoder(points, colours, 3, domain.layout, settings.plane, config.latent_channels, config.encoder)


def channels(settings: NerfSettings) -> tuple[str, ...]:
    """Names of the field's values: density, then colour coefficients for each spherical harmonic."""
    return value_names(settings.directions)


def sampler(domain: Domain, settings: NerfSettings) -> RaySampler:
    """Sampler of training rays, half of them through pixels that show the object."""
    return RaySampler()


def renderer(domain: Domain, settings: NerfSettings) -> NerfRenderer:
    """Renderer of views of `settings.size` pixels a side, over `settings.background`."""
    return NerfRenderer(
        (settings.size, settings.size),
        samples=settings.samples,
        close=settings.close,
        fine=settings.fine,
        background=BACKGROUNDS[settings.background],
    )


def points(signal: ViewSignal) -> Tensor:
    """Input points of the encoder: `(B, P, 3)`.

    Raises:
        DataError: if the signal has no points.
    """
    if not signal.points.shape[1]:
        raise DataError(
            "a single view does not determine the object's surface, so there are no points to encode; give more views, "
            "or coloured points as points.ply in the object's folder"
        )
    return signal.points


def colours(signal: ViewSignal) -> Tensor:
    """Input features of the points: `(B, P, 3)`."""
    return signal.point_colours
