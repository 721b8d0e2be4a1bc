"""The U-Net denoiser over the planes of a latent."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ddmi_core.diffusion.config import DenoiserConfig
from ddmi_core.diffusion.denoisers.cross_attention import Context, CrossAttention
from ddmi_core.diffusion.denoisers.denoiser import PlaneDenoiser
from ddmi_core.diffusion.denoisers.embeddings import AxisPositions, Harmonics
from ddmi_core.errors import ConfigError
from ddmi_core.fields.layout import Layout
from ddmi_core.networks import (
    Attention,
    AxisExchange,
    Maps,
    ResidualBlock,
    Wraps,
    apply_shared,
    convolution,
    group_norm,
    map_wraps,
    start_at_zero,
)


class _Level(nn.Module):
    """Residual blocks with shared weights for all planes, each followed by an exchange between planes.

    Args:
        layout: planes and axes.
        inputs: input channels of each block.
        width: output channels of each block.
        condition: width of the conditioning vector.
        config: of the denoiser.
        attends: add attention after each exchange.
    """

    def __init__(
        self,
        layout: Layout,
        inputs: Sequence[int],
        width: int,
        condition: int,
        config: DenoiserConfig,
        attends: bool = False,
    ) -> None:
        super().__init__()
        self.wraps = map_wraps(layout)
        self.blocks = nn.ModuleList(ResidualBlock(2, size, width, kernel_of(layout), condition) for size in inputs)
        self.exchanges = nn.ModuleList(
            _LevelAttention(layout, width, config) if config.planes == "attending" else AxisExchange(layout, width)
            for _ in inputs
        )
        self.attentions = nn.ModuleList(_LevelAttention(layout, width, config) for _ in inputs if attends)

    def __len__(self) -> int:
        """Number of blocks."""
        return len(self.blocks)

    def forward(self, number: int, maps: Maps, condition: Tensor, context: Context | None) -> Maps:
        """Apply one of the blocks, with what follows it."""

        def apply(features: Tensor, wraps: Wraps) -> Tensor:
            repeat = len(features) // len(condition)
            result: Tensor = self.blocks[number](features, condition.repeat(repeat, 1), wraps)
            return result

        maps = self.exchanges[number](apply_shared(apply, maps, self.wraps))
        return self.attentions[number](maps, context) if len(self.attentions) else maps


class _JointAttention(nn.Module):
    """Self-attention over the cells of all planes, then cross-attention to the tokens of a condition, if any."""

    def __init__(self, layout: Layout, width: int, config: DenoiserConfig) -> None:
        super().__init__()
        self.norm = group_norm(width)
        self.positions = AxisPositions(layout, width)
        self.harmonics = Harmonics(layout)
        self.attention = Attention(width, config.heads_of(width), self.harmonics.count)
        self.cross: CrossAttention | None = None

    def attend(self, context: int) -> None:
        self.cross = CrossAttention(self.norm.num_channels, self.attention.heads, context)

    def forward(self, maps: Maps, context: Context | None = None) -> Maps:
        tokens = []
        for plane, features in enumerate(maps):
            rows = self.norm(features).permute(0, 2, 3, 1)
            tokens.append((rows + self.positions(plane, tuple(rows.shape[1:3]))).flatten(1, 2))
        harmonics = self.harmonics([tuple(m.shape[2:]) for m in maps], maps[0].device)
        mixed = self.attention(torch.cat(tokens, dim=1), harmonics).split([t.shape[1] for t in tokens], dim=1)
        maps = [
            features + part.transpose(1, 2).unflatten(2, features.shape[2:])
            for features, part in zip(maps, mixed, strict=True)
        ]
        if self.cross is None or context is None:
            return maps
        return [
            self.cross(m.flatten(2).transpose(1, 2), context).transpose(1, 2).unflatten(2, m.shape[2:]) for m in maps
        ]


class _LevelAttention(_JointAttention):
    """Attention that changes nothing before training."""

    def __init__(self, layout: Layout, width: int, config: DenoiserConfig) -> None:
        super().__init__(layout, width, config)
        start_at_zero(self.attention.output)


class PlaneUNet(PlaneDenoiser):
    """U-Net over the planes of a latent; planes share weights and exchange features at every block.

    The arguments are those of `PlaneDenoiser`. With `config.planes = "joined"`, the planes are the channels of one map.
    """

    def __init__(self, layout: Layout, channels: int, condition: int, config: DenoiserConfig) -> None:
        super().__init__(layout, channels, condition, config)
        self.joined, self.dense = config.planes == "joined", config.skips == "block"
        if self.joined:
            channels *= len(layout.planes)
            layout = joined_layout(layout)
        kernel = kernel_of(layout)
        widths = [config.width * multiple for multiple in config.multipliers]
        attends = [2**number in config.attention for number in range(len(widths))]
        self.layout, self.wraps = layout, map_wraps(layout)
        self.stem = convolution(2, channels, widths[0], kernel)
        self.offsets = nn.ParameterList(nn.Parameter(torch.zeros(widths[0], 1, 1)) for _ in layout.planes)
        self.down, self.shrink, self.up = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        before = widths[0]
        skips = [before]  # channels of the layers that are connected to the way up, if all are
        for number, width in enumerate(widths):
            inputs = (before, *[width] * (config.blocks - 1))
            self.down.append(_Level(layout, inputs, width, condition, config, attends[number]))
            last = number == len(widths) - 1
            self.shrink.append(nn.Identity() if last else convolution(2, width, width, kernel))
            skips += [width] * (config.blocks + (not last))
            before = width
        self.middle = _JointAttention(layout, before, config)
        for number, width in reversed(list(enumerate(widths))):
            inputs = (before + width, *[width] * (config.blocks - 1))
            if self.dense:
                inputs = tuple(size + skips.pop() for size in (before, *[width] * config.blocks))
            self.up.append(_Level(layout, inputs, width, condition, config, attends[number]))
            before = width
        self.norm = group_norm(before)
        self.head = convolution(2, before, channels, kernel)
        start_at_zero(self.head)
        ends, coarser = [widths[-1]] * 2, reversed(widths[1:])
        self.around = _Level(layout, ends, widths[-1], condition, config) if self.dense else None
        self.enlarge = nn.ModuleList(convolution(2, width, width, kernel) for width in coarser if self.dense)

    def attend(self, width: int) -> None:
        """Add cross-attention in the middle and at the levels with attention; see `PlaneDenoiser`."""
        self.middle.attend(width)
        for level in list(self.modules()):
            for attention in level.attentions if isinstance(level, _Level) else ():
                attention.attend(width)  # type: ignore[operator]

    def forward(self, maps: Maps, condition: Tensor, context: Context | None = None) -> Maps:
        """Predictions for noisy planes; see `PlaneDenoiser`.

        Raises:
            ConfigError: if the planes cannot be joined, because their grids differ.
        """
        if not self.joined:
            return self._predicted(maps, condition, context)
        if len({m.shape for m in maps}) > 1:
            grids = ", ".join(" x ".join(map(str, m.shape[2:])) for m in maps)
            raise ConfigError(
                f"diffusion.denoiser.planes is 'joined', but the planes of the latent have different grids: {grids}. "
                "Fix: set it to 'shared'"
            )
        (joined,) = self._predicted([torch.cat(maps, dim=1)], condition, context)
        return list(joined.chunk(len(maps), dim=1))

    def _predicted(self, maps: Maps, condition: Tensor, context: Context | None) -> Maps:
        maps = [m + offset for m, offset in zip(apply_shared(self.stem, maps, self.wraps), self.offsets, strict=True)]
        skips = [maps] if self.dense else []
        for level, shrink in zip(self.down, self.shrink, strict=True):
            for number in range(len(level)):  # type: ignore[arg-type]
                maps = level(number, maps, condition, context)
                if self.dense or number == len(level) - 1:  # type: ignore[arg-type]
                    skips.append(maps)
            if not isinstance(shrink, nn.Identity):
                maps = apply_shared(shrink, [self._halve(m) for m in maps], self.wraps)
                skips += [maps] if self.dense else []
        if self.around is None:
            maps = self.middle(maps, context)
        else:
            maps = self.middle(self.around(0, maps, condition, context), context)
            maps = self.around(1, maps, condition, context)
        for place, level in enumerate(self.up):
            if place and self.dense:
                maps = apply_shared(self.enlarge[place - 1], self._enlarged(maps, skips[-1]), self.wraps)
            for number in range(len(level)):  # type: ignore[arg-type]
                if self.dense or not number:
                    skip = skips.pop()
                    maps = [torch.cat(pair, 1) for pair in zip(self._enlarged(maps, skip), skip, strict=True)]
                maps = level(number, maps, condition, context)
        return apply_shared(lambda m, wraps: self.head(F.silu(self.norm(m)), wraps), maps, self.wraps)

    @staticmethod
    def _halve(features: Tensor) -> Tensor:
        """Mean over blocks of two cells along axes longer than one; an odd last cell is kept."""
        sizes = [2 if size > 1 else 1 for size in features.shape[2:]]
        return F.avg_pool2d(features, sizes, ceil_mode=True)

    @staticmethod
    def _enlarged(maps: Maps, others: Maps) -> Maps:
        """Maps in the sizes of others, each cell with the value of the nearest."""
        return [
            m if m.shape[2:] == other.shape[2:] else F.interpolate(m, size=other.shape[2:], mode="nearest")
            for m, other in zip(maps, others, strict=True)
        ]


def kernel_of(layout: Layout) -> tuple[int, int]:
    """Size of the convolutions: lines are maps with one row."""
    return (1, 3) if all(len(plane) == 1 for plane in layout.planes) else (3, 3)


def joined_layout(layout: Layout) -> Layout:
    """The layout of one map whose channels are those of all planes.

    Raises:
        ConfigError: if planes differ in the number of axes, or in which of them are periodic.
    """
    wraps = layout.plane_wraps[0]
    if any(other != wraps for other in layout.plane_wraps):
        raise ConfigError(
            f"diffusion.denoiser.planes is 'joined', but the planes {', '.join(map(' '.join, layout.planes))} differ "
            "in the number of axes, or in which are periodic. Fix: set it to 'shared'"
        )
    axes = ("column", "row")[: len(wraps)]
    periodic = tuple(axis for axis, wrap in zip(axes, wraps, strict=True) if wrap)
    return Layout(axes=axes, planes=(axes,), periodic=periodic)
