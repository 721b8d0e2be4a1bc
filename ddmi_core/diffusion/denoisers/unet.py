"""The plane-aware U-Net denoiser, as in the paper."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ddmi_core.diffusion.config import DenoiserConfig
from ddmi_core.diffusion.denoisers.cross_attention import Context, CrossAttention
from ddmi_core.diffusion.denoisers.denoiser import PlaneDenoiser
from ddmi_core.diffusion.denoisers.embeddings import AxisPositions, Harmonics
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
    """Residual blocks with shared weights for all planes, each followed by an exchange along common axes."""

    def __init__(
        self, layout: Layout, inputs: tuple[int, ...], width: int, kernel: tuple[int, ...], condition: int
    ) -> None:
        super().__init__()
        self.wraps = map_wraps(layout)
        self.blocks = nn.ModuleList(ResidualBlock(2, size, width, kernel, condition) for size in inputs)
        self.exchanges = nn.ModuleList(AxisExchange(layout, width) for _ in inputs)

    def forward(self, maps: Maps, condition: Tensor) -> Maps:
        for block, exchange in zip(self.blocks, self.exchanges, strict=True):

            def apply(features: Tensor, wraps: Wraps, block: nn.Module = block) -> Tensor:
                repeat = len(features) // len(condition)
                result: Tensor = block(features, condition.repeat(repeat, 1), wraps)
                return result

            maps = exchange(apply_shared(apply, maps, self.wraps))
        return maps


class _JointAttention(nn.Module):
    """Self-attention over the cells of all planes, then cross-attention to the tokens of a condition, if any."""

    def __init__(self, layout: Layout, width: int, heads: int) -> None:
        super().__init__()
        self.norm = group_norm(width)
        self.positions = AxisPositions(layout, width)
        self.harmonics = Harmonics(layout)
        self.attention = Attention(width, heads, self.harmonics.count)
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


class PlaneUNet(PlaneDenoiser):
    """U-Net over the planes of a latent; planes share weights and exchange features at every block.

    The arguments are those of `PlaneDenoiser`.
    """

    def __init__(self, layout: Layout, channels: int, condition: int, config: DenoiserConfig) -> None:
        super().__init__(layout, channels, condition, config)
        kernel = (1, 3) if all(len(plane) == 1 for plane in layout.planes) else (3, 3)
        widths = [config.width * multiple for multiple in config.multipliers]
        self.layout, self.wraps = layout, map_wraps(layout)
        self.stem = convolution(2, channels, widths[0], kernel)
        self.offsets = nn.ParameterList(nn.Parameter(torch.zeros(widths[0], 1, 1)) for _ in layout.planes)
        self.down, self.shrink, self.up = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        before = widths[0]
        for number, width in enumerate(widths):
            self.down.append(_Level(layout, (before, *[width] * (config.blocks - 1)), width, kernel, condition))
            self.shrink.append(convolution(2, width, width, kernel) if number < len(widths) - 1 else nn.Identity())
            before = width
        self.middle = _JointAttention(layout, before, config.heads)
        for width in reversed(widths):
            inputs = (before + width, *[width] * (config.blocks - 1))
            self.up.append(_Level(layout, inputs, width, kernel, condition))
            before = width
        self.norm = group_norm(before)
        self.head = convolution(2, before, channels, kernel)
        start_at_zero(self.head)

    def attend(self, width: int) -> None:
        """Add cross-attention wherever there is self-attention; see `PlaneDenoiser`."""
        for module in list(self.modules()):
            if isinstance(module, _JointAttention):
                module.attend(width)

    def forward(self, maps: Maps, condition: Tensor, context: Context | None = None) -> Maps:
        """Predictions for noisy planes; see `PlaneDenoiser`."""
        maps = [m + offset for m, offset in zip(apply_shared(self.stem, maps, self.wraps), self.offsets, strict=True)]
        skips: list[Maps] = []
        for level, shrink in zip(self.down, self.shrink, strict=True):
            maps = level(maps, condition)
            skips.append(maps)
            if not isinstance(shrink, nn.Identity):
                maps = apply_shared(shrink, [self._halve(m) for m in maps], self.wraps)
        maps = self.middle(maps, context)
        for level, skip in zip(self.up, reversed(skips), strict=True):
            maps = [
                torch.cat(
                    [
                        F.interpolate(m, size=s.shape[2:], mode="nearest") if m.shape[2:] != s.shape[2:] else m,
                        s,
                    ],
                    1,
                )
                for m, s in zip(maps, skip, strict=True)
            ]
            maps = level(maps, condition)
        return apply_shared(lambda m, wraps: self.head(F.silu(self.norm(m)), wraps), maps, self.wraps)

    @staticmethod
    def _halve(features: Tensor) -> Tensor:
        """Mean over blocks of two cells along axes longer than one; an odd last cell is kept."""
        sizes = [2 if size > 1 else 1 for size in features.shape[2:]]
        return F.avg_pool2d(features, sizes, ceil_mode=True, count_include_pad=False)
