"""Encoders for signals on grids and for point clouds, for any layout."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from functools import reduce
from math import prod
from typing import Any

import torch
from attrs import frozen
from torch import Tensor, nn
from torch.nn import functional as F

from ddmi_core.api.interfaces import Encoder
from ddmi_core.autoencoder.config import EncoderConfig
from ddmi_core.autoencoder.plane_blocks import (
    CellAttention,
    Kernel,
    PlaneMiddle,
    attended,
    attentions,
    exchange,
    middle,
    plane_kernel,
    residual_blocks,
)
from ddmi_core.blocks import Block
from ddmi_core.errors import ConfigError, DataError
from ddmi_core.fields.layout import Layout
from ddmi_core.fields.planes import Planes, Posterior
from ddmi_core.networks import (
    Maps,
    Stages,
    apply_shared,
    as_maps,
    as_planes,
    convolution,
    group_norm,
    map_wraps,
    patch_embedding,
)


class GridEncoder(Encoder[Any]):
    """Convolutional stages that halve the grid, then a projection to each plane.

    A plane with fewer axes than the grid receives the mean over the other axes. Convolutions over four axes and more
    are factorised; see `convolution`.

    Args:
        grid: function from a signal to its grid `(B, channels, *grid)`, slowest axis first.
        channels: channels of that grid.
        layout: its axes are the grid's axes.
        latent_channels: C of the latent.
        config: widths, blocks, patch and factorisation.

    Raises:
        ValueError: if the configuration does not match the number of axes or asks for joined planes, or the layout has
            an embedding.

    Example:
        >>> layout = Layout(axes=("x", "y", "t"), planes=(("x", "y"), ("y", "t"), ("x", "t")))
        >>> encoder = GridEncoder(lambda signal: signal, 3, layout, 4, EncoderConfig(widths=(8, 16)))
        >>> [tuple(plane.shape) for plane in encoder(torch.zeros(1, 3, 6, 8, 10)).mean]
        [(1, 4, 4, 5), (1, 4, 3, 4), (1, 4, 3, 5)]
    """

    def __init__(
        self,
        grid: Callable[[Any], Tensor],
        channels: int,
        layout: Layout,
        latent_channels: int,
        config: EncoderConfig,
    ) -> None:
        super().__init__()
        axes = len(layout.axes)
        if layout.embedding is not None:
            raise ValueError(
                f"GridEncoder projects a grid to planes by means over its axes ({', '.join(layout.axes)}), but the "
                f"planes of this layout span other axes ({', '.join(layout.plane_axes)}). Fix: use EmbeddedGridEncoder"
            )
        if config.patch and len(config.patch) != axes:
            raise ValueError(f"encoder.patch={config.patch} needs one number for each of {axes} axes, slowest first")
        if config.factorised and axes != 3:
            raise ValueError(f"encoder.factorised requires a grid of three axes; this one has {axes}. Fix: remove it")
        if config.joined:
            raise ValueError(
                "encoder.joined = true joins planes, but this encoder works on the grid and makes planes in its last "
                "layer. Fix: remove encoder.joined, or add capacity by encoder.middle and encoder.blocks"
            )
        self.grid, self.layout = grid, layout
        self.wraps = layout.wraps[::-1]
        first = config.widths[0]
        self.patch = config.patch
        self.stem = (
            patch_embedding(axes, channels, first, config.patch) if config.patch else convolution(axes, channels, first)
        )
        kernels: tuple[Kernel, ...] = ((1, 3, 3), (3, 1, 1)) if config.factorised else (3,)
        attending = attentions(config.widths, [2**number for number in range(len(config.widths))], config)
        stages: list[nn.Module] = []
        before = first
        for number, (width, attention) in enumerate(zip(config.widths, attending, strict=True)):
            entered = before if config.transition == "block" else width
            if number:
                stages.append(convolution(axes, before, entered, stride=2))
            stages.extend(residual_blocks(axes, entered, width, config, kernels))
            if isinstance(attention, CellAttention):
                stages.append(attention)
            before = width
        if config.middle:
            stages.append(middle(axes, before, 3, config.heads))
        self.stages = Stages(*stages)
        self.norm = group_norm(before)
        self.heads = nn.ModuleList(convolution(len(plane), before, 2 * latent_channels, 1) for plane in layout.planes)

    def forward(self, signal: Any) -> Posterior:
        """Posterior with one latent per plane: `(B, C, *grid)`, the grid divided by the patch and by 2^(stages - 1)."""
        grid = self.grid(signal)
        if self.patch and any(size < side for size, side in zip(grid.shape[2:], self.patch, strict=True)):
            raise ConfigError(
                f"autoencoder.encoder.patch = {list(self.patch)} is larger than a signal of {list(grid.shape[2:])} "
                "cells. Fix: give a smaller patch, or larger signals by the settings of the domain",
                "autoencoder.encoder.patch",
            )
        features = F.silu(self.norm(self.stages(self.stem(grid, self.wraps), self.wraps)))
        axes = len(self.layout.axes)
        means, log_variances = [], []
        for head, columns in zip(self.heads, self.layout.columns, strict=True):
            # Column c of the coordinates is dimension -1 - c of a grid.
            others = [-1 - column for column in range(axes) if column not in columns]
            plane = features.mean(dim=others) if others else features
            if columns[0] > columns[-1]:
                plane = plane.transpose(-1, -2)
            mean, log_variance = head(plane).chunk(2, dim=1)
            means.append(mean)
            log_variances.append(log_variance.clamp(-20, 10))
        return Posterior(Planes(means), Planes(log_variances))


class PlaneStagesEncoder(Encoder[Any]):
    """Stages on planes that share weights, exchange features along common axes, and halve the grid.

    A subclass maps a signal to planes in its method `planes`.

    Args:
        channels: of the result of `planes`.
        layout: planes and axes.
        latent_channels: C of the latent.
        config: widths of the stages, and blocks per stage.

    Raises:
        ValueError: if `attention` names a stage that does not exist, no planes can be joined, or the encoder is to be a
            transformer.
    """

    def __init__(self, channels: int, layout: Layout, latent_channels: int, config: EncoderConfig) -> None:
        super().__init__()
        if config.kind != "convolution":
            raise ValueError(
                f'encoder.kind = "{config.kind}" attends over the patches of a grid, but this encoder works on planes. '
                'Fix: set encoder.kind = "convolution"'
            )
        first = config.widths[0]
        self.layout, self.wraps = layout, map_wraps(layout)
        self.stem = convolution(2, channels, first, 1)
        self.offsets = nn.ParameterList(nn.Parameter(torch.zeros(first, 1, 1)) for _ in layout.planes)
        kernel = plane_kernel(layout)
        self.stages, self.exchanges = nn.ModuleList(), nn.ModuleList()
        before = first
        for number, width in enumerate(config.widths):
            entered = before if config.transition == "block" else width
            stage: list[nn.Module] = [convolution(2, before, entered, kernel, stride=2)] if number else []
            stage.extend(residual_blocks(2, entered, width, config, [kernel]))
            self.stages.append(Stages(*stage))
            self.exchanges.append(exchange(layout, width, config))
            before = width
        self.norm = group_norm(before)
        self.heads = nn.ModuleList(convolution(2, before, 2 * latent_channels, 1) for _ in layout.planes)
        factors = [2**number for number in range(len(config.widths))]
        self.attentions = attentions(config.widths, factors, config)
        self.middle = PlaneMiddle(layout, before, config, factors[-1]) if config.middle else None

    @abstractmethod
    def planes(self, signal: Any) -> Planes:
        """One `(B, channels, *cells)` per plane."""

    def forward(self, signal: Any) -> Posterior:
        """Posterior with one latent `(B, C, *cells / 2^(stages - 1))` per plane."""
        maps = apply_shared(self.stem, as_maps(self.planes(signal)), self.wraps)
        maps = [m + offset for m, offset in zip(maps, self.offsets, strict=True)]
        for stage, between, attention in zip(self.stages, self.exchanges, self.attentions, strict=True):
            maps = attended(attention, between(apply_shared(stage, maps, self.wraps)))
        if self.middle is not None:
            maps = self.middle(maps)
        maps = apply_shared(lambda m, _: F.silu(self.norm(m)), maps, self.wraps)
        means: Maps = []
        log_variances: Maps = []
        for head, plane in zip(self.heads, maps, strict=True):
            mean, log_variance = head(plane).chunk(2, dim=1)
            means.append(mean)
            log_variances.append(log_variance.clamp(-20, 10))
        return Posterior(as_planes(means, self.layout), as_planes(log_variances, self.layout))


class PointEncoder(PlaneStagesEncoder):
    """Encoder of point clouds: a network on points that exchange features within cells, then plane convolutions.

    It follows convolutional occupancy networks (arXiv 2003.04618, section 3.1). Before each block except the first,
    every point receives the mean features of its cells, summed over the planes. The stages on planes share weights and
    exchange features along common axes. The result does not depend on the order of the points.

    Args:
        points: function from a signal to its points `(B, M, D)`, in [-1, 1], columns in the order of
            `layout.plane_axes` (for a layout with an embedding, apply `layout.in_planes` first). Points beyond the
            border belong to the outermost cells, or to the cells at the other end of a periodic axis.
        features: function from a signal to features of the points, `(B, M, channels)`.
        channels: of the features; may be 0.
        layout: planes, and the axes of their space, which are those of the points.
        cells: cells along each axis of the finest planes, slowest axis first, or one number for all axes.
        latent_channels: C of the latent.
        config: sizes of the network on points and of the stages.
        mask: function from a signal to booleans `(B, M)`, False for padding, which has no influence on the result. By
            default all points are real.

    Example:
        >>> layout = Layout(axes=("x", "y", "z"), planes=(("x", "y"), ("z",)))
        >>> encoder = PointEncoder(lambda s: s, lambda s: s[..., :0], 0, layout, 16, 4, EncoderConfig(widths=(8, 16)))
        >>> [tuple(plane.shape) for plane in encoder(torch.zeros(2, 100, 3)).mean]
        [(2, 4, 8, 8), (2, 4, 8)]
    """

    def __init__(
        self,
        points: Callable[[Any], Tensor],
        features: Callable[[Any], Tensor],
        channels: int,
        layout: Layout,
        cells: int | Sequence[int],
        latent_channels: int,
        config: EncoderConfig,
        mask: Callable[[Any], Tensor] | None = None,
    ) -> None:
        axes, width = len(layout.plane_axes), config.point_width or config.widths[0]
        super().__init__(width + 1, layout, latent_channels, config)
        self.points, self.features, self.mask = points, features, mask
        self.cells = (cells,) * axes if isinstance(cells, int) else tuple(cells)
        if len(self.cells) != axes:
            raise ValueError(
                f"cells={self.cells} needs one number for each axis, slowest first: {layout.plane_axes[::-1]}"
            )
        # A coordinate of a periodic axis has no origin, so the network sees the position within the cell alone.
        self.fixed = [column for column, axis in enumerate(layout.plane_axes) if axis not in layout.periodic]
        self.periodic = [column for column in range(axes) if column not in self.fixed]
        self.entry = nn.Linear(axes + len(self.fixed) + channels, 2 * width)
        self.blocks = nn.ModuleList(PointBlock(2 * width, width) for _ in range(config.point_blocks))

    def planes(self, signal: Any) -> Planes:
        """Mean features per cell; see `scattered`."""
        mask = None if self.mask is None else self.mask(signal)
        return self.scattered(self.points(signal), self.features(signal), mask)

    def scattered(self, points: Tensor, features: Tensor, mask: Tensor | None = None) -> Planes:
        """Input of the convolutions: mean features and density of the points in each cell.

        Empty cells are zero.

        Args:
            points: `(B, M, D)`, in the space of the planes.
            features: `(B, M, channels)`.
            mask: `(B, M)`, True for real points; None if all are real.

        Returns:
            one `(B, W + 1, *cells)` per plane, W the width of the network on points

        Raises:
            DataError: if a signal has no real point.
            ValueError: if the mask has another shape.
        """
        batch, count, _ = points.shape
        own: int | Tensor = max(1, count)  # points of each signal
        if mask is not None:
            mask = mask.bool()
            own = _real_points(mask, (batch, count)).view(batch, 1, 1)
            points, features = (part.where(mask.unsqueeze(-1), 0) for part in (points, features))
        lengths = points.new_tensor(self.cells[::-1])
        places = (points + 1) * (lengths / 2)
        if self.periodic:
            places[..., self.periodic] = places[..., self.periodic].remainder(lengths[self.periodic])
            points = points[..., self.fixed]
        index = places.floor().clamp(min=0).minimum(lengths - 1)
        # Position within the cell, which the cell index lacks.
        inner = 2 * (places - index) - 1
        bins = [self._bins(index.long(), columns, mask) for columns in self.layout.columns]
        hidden = self.entry(torch.cat([points, inner, features], dim=-1).flatten(0, 1))
        for number, block in enumerate(self.blocks):
            if number:
                pooled = [part.means(hidden).index_select(0, part.rows) for part in bins]
                hidden = torch.cat([hidden, reduce(torch.add, pooled)], dim=1)
            hidden = block(hidden)
        return Planes(part.plane(hidden, batch, own) for part in bins)

    def _bins(self, index: Tensor, columns: tuple[int, ...], mask: Tensor | None) -> Bins:
        """Cell of each point on one plane, from its cell along each axis `(B, M, D)`."""
        grid = tuple(self.cells[-1 - column] for column in reversed(columns))
        rows = torch.arange(len(index), device=index.device).unsqueeze(1)
        for length, column in zip(grid, reversed(columns), strict=True):
            rows = rows * length + index[..., column]
        cells = len(index) * prod(grid)
        if mask is not None:
            rows = rows.where(mask, cells)  # padding shares one cell after those of the signals
        rows = rows.flatten()
        # Not bincount, which the meta device lacks.
        counts = rows.new_zeros(cells + (mask is not None)).index_add(0, rows, torch.ones_like(rows))
        return Bins(grid, rows, counts.unsqueeze(1))


def _real_points(mask: Tensor, shape: tuple[int, int]) -> Tensor:
    """Number of real points of each signal, `(B,)`, at least 1."""
    if mask.shape != shape:
        raise ValueError(f"the mask of points has the shape {tuple(mask.shape)}; return one boolean per point, {shape}")
    numbers = mask.sum(dim=1)
    if not numbers.is_meta and not bool((numbers > 0).all()):  # the meta device has no values
        raise DataError(
            f"signal {int(numbers.argmin())} of the batch has no points to encode: its mask is False everywhere. "
            "Fix: leave out signals without points when the data load"
        )
    return numbers


class PointBlock(Block):
    """Residual block of two linear layers, applied to each point.

    Args:
        inputs, outputs: channels.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(inputs, outputs), nn.Linear(outputs, outputs)
        self.skip = nn.Linear(inputs, outputs, bias=False)
        # A block starts as its skip connection.
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)

    def forward(self, features: Tensor) -> Tensor:
        """Map `(N, inputs)` to `(N, outputs)`."""
        output: Tensor = self.skip(features) + self.second(F.silu(self.first(F.silu(features))))
        return output


@frozen(eq=False)
class Bins:
    """Assignment of points to the cells of one plane."""

    grid: tuple[int, ...]  # cells along the plane's axes, slowest first
    rows: Tensor  # (B * M,), the cell of each point; signals are concatenated, padding is in the last cell
    counts: Tensor  # (B * cells, 1), number of points per cell; one more if there is padding

    def means(self, features: Tensor) -> Tensor:
        """Mean over the points of each cell, `(B * M, W) -> (B * cells, W)`; zero for empty cells."""
        features = features.float()
        sums = features.new_zeros(len(self.counts), features.shape[1]).index_add(0, self.rows, features)
        return sums / self.counts.clamp(min=1)

    def plane(self, features: Tensor, batch: int, own: int | Tensor) -> Tensor:
        """Means, and the logarithmic density relative to uniformly distributed points, `(B, W + 1, *grid)`.

        Args:
            features: `(B * M, W)`.
            batch: B.
            own: number of points of each signal, the same for all or `(B, 1, 1)`.
        """
        cells = prod(self.grid)
        means, counts = (part[: batch * cells].view(batch, cells, -1) for part in (self.means(features), self.counts))
        density = torch.log1p(counts * (cells / own))
        return torch.cat([means, density], dim=-1).view(batch, *self.grid, -1).movedim(-1, 1)
