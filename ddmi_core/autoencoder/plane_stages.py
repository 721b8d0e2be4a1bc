"""The second half of encoders that have brought their signals to planes: convolutions, exchange, and a posterior."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from ddmi_core.api.interfaces import Encoder
from ddmi_core.autoencoder.config import EncoderConfig
from ddmi_core.fields.blocks import ResidualBlock, convolution, groups
from ddmi_core.fields.exchange import AxisExchange, Maps, as_maps, as_planes, shared
from ddmi_core.fields.layout import Layout
from ddmi_core.fields.planes import Planes
from ddmi_core.fields.posterior import Posterior


class PlaneStagesEncoder(Encoder):
    """Stages on planes that share weights, exchange features along common axes, and halve the grid.

    A subclass says with `planes` how a signal comes to the planes.

    Args:
        channels: of what `planes` gives.
        layout: planes and axes.
        latent_channels: C of the latent.
        config: widths of the stages, and blocks a stage.
    """

    def __init__(self, channels: int, layout: Layout, latent_channels: int, config: EncoderConfig) -> None:
        super().__init__()
        first = config.widths[0]
        self.layout = layout
        self.stem = convolution(2, channels, first, 1)
        self.offsets = nn.ParameterList(nn.Parameter(torch.zeros(first, 1, 1)) for _ in layout.planes)
        kernel = (1, 3) if all(len(plane) == 1 for plane in layout.planes) else (3, 3)
        self.stages, self.exchanges = nn.ModuleList(), nn.ModuleList()
        before = first
        for number, width in enumerate(config.widths):
            stage: list[nn.Module] = [convolution(2, before, width, kernel, stride=2)] if number else []
            stage.extend(ResidualBlock(2, width, width, kernel) for _ in range(config.blocks))
            self.stages.append(nn.Sequential(*stage))
            self.exchanges.append(AxisExchange(layout, width))
            before = width
        self.norm = nn.GroupNorm(groups(before), before)
        self.heads = nn.ModuleList(convolution(2, before, 2 * latent_channels, 1) for _ in layout.planes)

    @abstractmethod
    def planes(self, signal: Any) -> Planes:
        """One `(B, channels, *cells)` a plane."""

    def forward(self, signal: Any) -> Posterior:
        """Posterior with one latent `(B, C, *cells / 2^(stages - 1))` a plane."""
        maps = shared(self.stem, as_maps(self.planes(signal)))
        maps = [m + offset for m, offset in zip(maps, self.offsets, strict=True)]
        for stage, exchange in zip(self.stages, self.exchanges, strict=True):
            maps = exchange(shared(stage, maps))
        maps = shared(lambda m: F.silu(self.norm(m)), maps)
        means: Maps = []
        log_variances: Maps = []
        for head, plane in zip(self.heads, maps, strict=True):
            mean, log_variance = head(plane).chunk(2, dim=1)
            means.append(mean)
            log_variances.append(log_variance.clamp(-20, 10))
        return Posterior(as_planes(means, self.layout), as_planes(log_variances, self.layout))
