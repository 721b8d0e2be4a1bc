"""Default parts of domains on grids, which a description references."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import torch
from torch import Tensor

from ddmi_core.api.domain import Domain
from ddmi_core.autoencoder.config import AutoencoderConfig
from ddmi_core.autoencoder.decoder import PlaneDecoder
from ddmi_core.autoencoder.encoders import GridEncoder
from ddmi_core.errors import PluginError
from ddmi_core.fields.field import Field
from ddmi_core.grids.raster import StoredGrid
from ddmi_core.grids.renderer import LARGEST, GridRenderer
from ddmi_core.grids.sampler import GridSampler, OnGrids, as_values

LARGEST_VIEW = 1 << 20  # cells of the largest view of a report
DOUBLINGS = 3  # from the native size to the largest view, at most
VALUE_RANGE = 2.0  # values lie in [-1, 1]
COARSE = 4  # cells along each axis of the default features


def grid_encoder(domain: Domain, config: AutoencoderConfig, settings: Any) -> GridEncoder:
    """Convolutional encoder of a signal's native grid."""
    return GridEncoder(native_grid, len(domain.values), domain.layout, config.latent_channels, config.encoder)


def plane_decoder(domain: Domain, config: AutoencoderConfig, settings: Any) -> PlaneDecoder:
    """Convolutional decoder to basis fields over the layout's planes."""
    return PlaneDecoder(domain.layout, config.latent_channels, config.decoder)


def grid_sampler(domain: Domain, settings: Any) -> GridSampler:
    """Random patches of one level of the signals."""
    return GridSampler(domain.layout)


def grid_renderer(domain: Domain, settings: Any) -> GridRenderer:
    """Renderer of grids; `settings.native` is the native size, and `settings.extent`, if present, its lengths."""
    return GridRenderer(domain.layout, native_size(domain, settings), extent=getattr(settings, "extent", None))


def grid_report_views(domain: Domain, settings: Any) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """Four sizes, each twice the previous one.

    The largest is 8 times the native size, with fewer doublings if that exceeds 2^20 cells or the renderer's longest
    axis; at least the native size.
    """
    native = native_size(domain, settings)
    factor = 2.0**DOUBLINGS
    while factor > 1 and (factor ** len(native) * prod(native) > LARGEST_VIEW or factor * max(native) > LARGEST):
        factor /= 2
    sizes = [tuple(max(1, int(n * factor / 2**back)) for n in native) for back in reversed(range(4))]
    return tuple((" x ".join(map(str, size)), size) for size in dict.fromkeys(sizes))


def grid_ground_truth(signal: OnGrids, index: int, renderer: GridRenderer) -> StoredGrid:
    """The native grid of one signal, as an artefact of the same interface as a render."""
    values = native_grid(signal)[index].movedim(0, -1).float().cpu().contiguous().numpy()
    return StoredGrid(values=values, size=values.shape[:-1], extent=renderer.extent)


def native_grid(signal: OnGrids) -> Tensor:
    """Values of signals on the native grid: `(B, V, *grid)`, in [-1, 1]."""
    return as_values(signal.levels()[0])


def native_size(domain: Domain, settings: Any) -> tuple[int, ...]:
    """`settings.native`: cells along each axis, slowest first.

    Raises:
        PluginError: if the settings have none, or it does not match the layout.
    """
    native = getattr(settings, "native", None)
    axes = ", ".join(reversed(domain.layout.axes))
    if native is None:
        raise PluginError(
            f"domain {domain.name!r} uses the core's parts for grids, which require "
            f"{type(settings).__name__}.native: add a property with the cells along each axis, slowest first "
            f"({axes}), or name parts of your own"
        )
    if len(native) != len(domain.layout.axes):
        raise PluginError(
            f"domain {domain.name!r}: {type(settings).__name__}.native is {tuple(native)}; the layout requires one "
            f"number for each axis, slowest first: {axes}"
        )
    return tuple(native)


def psnr_db(fields: Field, signal: OnGrids, renderer: GridRenderer) -> Tensor:
    """Peak signal-to-noise ratio per signal in decibels, `(B,)`; limited to 100 for equal grids."""
    error = (renderer.native_values(fields) - native_grid(signal).cpu()).square().flatten(1).mean(dim=1)
    return 10 * torch.log10(VALUE_RANGE**2 / error.clamp(min=VALUE_RANGE**2 * 1e-10))


FieldFeatures = Callable[[Field, GridRenderer], Tensor]
SignalFeatures = Callable[[OnGrids], Tensor]


def grid_features_by(features: Callable[[Tensor], Tensor]) -> tuple[FieldFeatures, SignalFeatures]:
    """`field_features` and `signal_features` of a domain on grids, from one function of native grids.

    Args:
        features: `(B, V, *grid) -> (B, F)`, values in [-1, 1], on the CPU.

    Example:
        >>> field_features, signal_features = grid_features_by(lambda values: values.flatten(2).std(dim=2))
        >>> from ddmi_core.parts import GridSignal
        >>> signal_features(GridSignal(torch.zeros(2, 3, 8))).shape
        torch.Size([2, 3])
    """

    def field_features(fields: Field, renderer: GridRenderer) -> Tensor:
        return features(renderer.native_values(fields))

    def signal_features(signal: OnGrids) -> Tensor:
        return features(native_grid(signal).cpu())

    return field_features, signal_features


def grid_features(values: Tensor) -> Tensor:
    """Default features of grids: means, and mean absolute differences along each axis, over coarse cells.

    Args:
        values: `(B, V, *grid)`, one to three grid axes.

    Returns:
        `(B, F)`, F at most `V (1 + axes) 4^axes`
    """
    axes = values.ndim - 2

    def coarse(grid: Tensor) -> Tensor:
        for axis in range(2, grid.ndim):
            cells = grid.tensor_split(min(COARSE, grid.shape[axis]), dim=axis)
            grid = torch.stack([cell.mean(dim=axis) for cell in cells], dim=axis)
        return grid.flatten(1)

    parts = [coarse(values)]
    parts += [coarse(values.diff(dim=2 + axis).abs()) for axis in range(axes) if values.shape[2 + axis] > 1]
    return torch.cat(parts, dim=1)


grid_field_features, grid_signal_features = grid_features_by(grid_features)
