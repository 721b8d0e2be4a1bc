"""The ready implementation of domains whose signals are regular grids."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from ddmi_core.api.interfaces import CoordinateSampler, Encoder
from ddmi_core.autoencoder.config import AutoencoderConfig, PerceptualConfig
from ddmi_core.autoencoder.embedded_grids import EmbeddedGridEncoder
from ddmi_core.autoencoder.encoders import GridEncoder
from ddmi_core.autoencoder.grid_transformer import GridTransformer
from ddmi_core.autoencoder.losses import MultiScaleTerm
from ddmi_core.fields.field import Field
from ddmi_core.grids.raster import GridArtefact, StoredGrid
from ddmi_core.grids.renderer import GridRenderer
from ddmi_core.grids.sampler import GridSampler, OnGrids, native_grid
from ddmi_core.grids.signals import GridSignal
from ddmi_core.parts.array_files import read_array
from ddmi_core.parts.domain_parts import Metric
from ddmi_core.parts.raster_domain import RasterDomain, as_pictures
from ddmi_core.parts.similarity import ssim

T = TypeVar("T")

VALUE_RANGE = 2.0  # values lie in [-1, 1]


class GridDomain(RasterDomain[T, OnGrids]):
    """A domain on grids: signals with `levels`, such as `GridSignal`, and artefacts that are grids.

    An author gives the settings and defines `sources` and `picture`. The settings' property `native` is the native size
    (cells along each axis, slowest first). Their attributes `extent` and `shares`, if present, are the length of each
    axis in the domain's units, and how often each level is drawn (see `GridSampler`). Files are NumPy arrays, unless
    `read` and `exporters` say otherwise.
    """

    def read(self, path: Path) -> OnGrids:
        """The signal in a NumPy file; see `read_array`."""
        return read_array(path, self.native, len(self.channels()))

    def blank(self) -> OnGrids:
        """Zeros on the native grid."""
        return GridSignal(torch.zeros(1, len(self.channels()), *self.native))

    def encoder(self, config: AutoencoderConfig) -> Encoder[OnGrids]:
        """Encoder of the native grid: over its axes or, with an embedding, over those of the planes."""
        domain = self.domain
        on_grid = GridTransformer if config.encoder.kind == "transformer" else GridEncoder
        kind: Callable[..., Encoder[OnGrids]] = on_grid if domain.layout.embedding is None else EmbeddedGridEncoder
        return kind(native_grid, len(self.channels()), domain.layout, config.latent_channels, config.encoder)

    @cached_property
    def sampler(self) -> CoordinateSampler[OnGrids]:
        """Random patches of one level of the signals."""
        return GridSampler(self.domain.layout, shares=getattr(self.settings, "shares", ()))

    def perceptual(self) -> Mapping[str, Callable[[PerceptualConfig], nn.Module]]:
        """`multiscale`: differences of pooled patches and of their derivatives."""
        return {"multiscale": MultiScaleTerm}

    def metrics(self) -> Mapping[str, Metric]:
        """Peak signal-to-noise ratio, and structural similarity of grids with two axes or more."""
        return {"psnr_db": psnr_db, **({"ssim": ssim} if len(self.domain.layout.axes) > 1 else {})}

    def signal_features(self, signal: OnGrids) -> Tensor:
        """`features` of the signals' native grids."""
        return self.features(native_grid(signal).cpu())

    def signal_pictures(self, signal: OnGrids) -> Tensor | None:
        """The signals' native grids, as `pictures` of fields."""
        return as_pictures(native_grid(signal).float().cpu())

    def ground_truth(self, signal: OnGrids, index: int) -> GridArtefact:
        """The native grid of one signal, as an artefact of the same interface as a render."""
        values = native_grid(signal)[index].movedim(0, -1).float().cpu().contiguous().numpy()
        return StoredGrid(values=values, size=values.shape[:-1], extent=self.renderer.extent)


def psnr_db(fields: Field, signal: OnGrids, renderer: GridRenderer) -> Tensor:
    """Peak signal-to-noise ratio per signal in decibels, `(B,)`; limited to 100 for equal grids."""
    error = (renderer.native_values(fields) - native_grid(signal).cpu()).square().flatten(1).mean(dim=1)
    return 10 * torch.log10(VALUE_RANGE**2 / error.clamp(min=VALUE_RANGE**2 * 1e-10))
