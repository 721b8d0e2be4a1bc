"""The domain's parts: which rays training looks along, and what the encoder sees."""

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
    """Coloured points, or posed views, brought to planes of `settings.plane` cells along each axis."""
    if settings.encoder == "views":
        return ViewEncoder(domain.layout, settings.plane, config.latent_channels, config.encoder)
    return PointEncoder(points, colours, 3, domain.layout, settings.plane, config.latent_channels, config.encoder)


def channels(settings: NerfSettings) -> tuple[str, ...]:
    """Density, red, green and blue, and more of these where colours depend on directions."""
    return value_names(settings.directions)


def sampler(domain: Domain, settings: NerfSettings) -> RaySampler:
    """Rays of pixels, half of them where the object is seen."""
    return RaySampler()


def renderer(domain: Domain, settings: NerfSettings) -> NerfRenderer:
    """Views of `settings.size` pixels a side, over `settings.background`."""
    return NerfRenderer(
        (settings.size, settings.size),
        samples=settings.samples,
        close=settings.close,
        fine=settings.fine,
        background=BACKGROUNDS[settings.background],
    )


def points(signal: ViewSignal) -> Tensor:
    """Points that the encoder sees: `(B, P, 3)`.

    Raises:
        DataError: if there are none.
    """
    if not signal.points.shape[1]:
        raise DataError(
            "one view does not tell where the surface of an object is, so the encoder cannot see it; give more views, "
            "or coloured points as points.ply beside it"
        )
    return signal.points


def colours(signal: ViewSignal) -> Tensor:
    """Their features: `(B, P, 3)`."""
    return signal.point_colours
