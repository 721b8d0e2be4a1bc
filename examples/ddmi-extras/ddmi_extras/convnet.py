"""A convolutional denoiser at one resolution."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ddmi_core.api import Layout
from ddmi_core.diffusion import DenoiserConfig, Maps, PlaneDenoiser


class _Block(nn.Module):
    """A depthwise convolution and a feed-forward network per cell, modulated by the condition."""

    def __init__(self, width: int, condition: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(width, width, 7, padding=3, groups=width)
        self.norm = nn.GroupNorm(1, width)
        self.network = nn.Sequential(nn.Conv2d(width, 4 * width, 1), nn.GELU(), nn.Conv2d(4 * width, width, 1))
        self.modulation = nn.Linear(condition, 2 * width)

    def forward(self, features: Tensor, condition: Tensor) -> Tensor:
        scale, shift = self.modulation(condition)[:, :, None, None].chunk(2, dim=1)
        hidden = self.norm(self.depthwise(features)) * (1 + scale) + shift
        output: Tensor = features + self.network(hidden)
        return output


class PlaneConvNet(PlaneDenoiser):
    """Blocks with shared weights for all planes; their number is `blocks`, their channels are `width`.

    The arguments are those of `PlaneDenoiser`.
    """

    def __init__(self, layout: Layout, channels: int, condition: int, config: DenoiserConfig) -> None:
        super().__init__(layout, channels, condition, config)
        self.stem = nn.Conv2d(channels, config.width, 1)
        self.offsets = nn.ParameterList(nn.Parameter(torch.zeros(config.width, 1, 1)) for _ in layout.planes)
        self.blocks = nn.ModuleList(_Block(config.width, condition) for _ in range(config.blocks))
        self.head = nn.Conv2d(config.width, channels, 1)
        nn.init.zeros_(self.head.weight)  # an untrained denoiser predicts zero
        if self.head.bias is not None:
            nn.init.zeros_(self.head.bias)

    def forward(self, maps: Maps, condition: Tensor) -> Maps:
        """Predictions for noisy planes; see `PlaneDenoiser`."""
        outputs = []
        for features, offset in zip(maps, self.offsets, strict=True):
            hidden = self.stem(features) + offset
            for block in self.blocks:
                hidden = block(hidden, condition)
            outputs.append(self.head(F.silu(hidden)))
        return outputs
