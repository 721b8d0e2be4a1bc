"""Encoder and decoder of the image domain: the core's ready parts."""

from __future__ import annotations

from ddmi_core.api import BasisFieldDecoder, Encoder
from ddmi_core.parts import AutoencoderConfig, GridEncoder, PlaneDecoder
from ddmi_image.plugin import IMAGE
from ddmi_image.settings import ImageSettings
from ddmi_image.signal import pixels


def encoder(config: AutoencoderConfig, settings: ImageSettings) -> Encoder:
    """Convolutional encoder of the native pixels."""
    return GridEncoder(pixels, len(IMAGE.values), IMAGE.layout, config.latent_channels, config.encoder)


def decoder(config: AutoencoderConfig, settings: ImageSettings) -> BasisFieldDecoder:
    """Convolutional decoder to basis fields over the picture's plane."""
    return PlaneDecoder(IMAGE.layout, config.latent_channels, config.decoder)
