"""The transformer denoiser over the tokens of all planes."""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from ddmi_core.blocks import Block
from ddmi_core.diffusion.config import DenoiserConfig
from ddmi_core.diffusion.denoisers.cross_attention import Context, CrossAttention
from ddmi_core.diffusion.denoisers.denoiser import PlaneDenoiser
from ddmi_core.diffusion.denoisers.embeddings import AxisPositions, Harmonics
from ddmi_core.fields.layout import Layout
from ddmi_core.networks import Attention, Maps, Wraps, map_wraps

_CELLS, _PATCH = "(rows high) (columns wide)", "(channels high wide)"


class _Block(Block):
    """Attention and a feed-forward network, modulated by the condition (adaLN-zero, arXiv 2212.09748).

    Cross-attention to the tokens of a condition, if any, is between the two and not modulated (arXiv 2310.00426).
    """

    def __init__(self, width: int, heads: int, condition: int, harmonics: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, elementwise_affine=False)
        self.attention = Attention(width, heads, harmonics)
        self.norm2 = nn.LayerNorm(width, elementwise_affine=False)
        self.network = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(approximate="tanh"), nn.Linear(4 * width, width)
        )
        self.cross: CrossAttention | None = None
        self.modulation = nn.Linear(condition, 6 * width)
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)

    def forward(
        self, tokens: Tensor, condition: Tensor, harmonics: Tensor | None, context: Context | None = None
    ) -> Tensor:
        shift1, scale1, gate1, shift2, scale2, gate2 = self.modulation(condition).unsqueeze(1).chunk(6, dim=-1)
        tokens = tokens + gate1 * self.attention(self.norm1(tokens) * (1 + scale1) + shift1, harmonics)
        if self.cross is not None and context is not None:
            tokens = self.cross(tokens, context)
        output: Tensor = tokens + gate2 * self.network(self.norm2(tokens) * (1 + scale2) + shift2)
        return output


class PlaneTransformer(PlaneDenoiser):
    """Transformer whose tokens are patches of cells of all planes, with axis-wise position embeddings.

    On periodic axes, positions are relative: rolling the latent by whole patches rolls the predictions.

    The arguments are those of `PlaneDenoiser`.
    """

    def __init__(self, layout: Layout, channels: int, condition: int, config: DenoiserConfig) -> None:
        super().__init__(layout, channels, condition, config)
        self.config = config
        lines = all(len(plane) == 1 for plane in layout.planes)
        self.patch = (1, config.patch) if lines else (config.patch, config.patch)
        size = channels * self.patch[0] * self.patch[1]
        self.stem = nn.Linear(size, config.width)
        self.positions = AxisPositions(layout, config.width)
        self.harmonics, self.wraps = Harmonics(layout), map_wraps(layout)
        self.blocks = nn.ModuleList(
            _Block(config.width, config.heads_of(config.width), condition, self.harmonics.count)
            for _ in range(config.blocks)
        )
        self.norm = nn.LayerNorm(config.width, elementwise_affine=False)
        self.modulation = nn.Linear(condition, 2 * config.width)
        self.head = nn.Linear(config.width, size)
        for layer in (self.modulation, self.head):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def attend(self, width: int) -> None:
        """Add cross-attention to each block; see `PlaneDenoiser`."""
        for block in self.blocks:
            block.cross = CrossAttention(self.config.width, self.config.heads_of(self.config.width), width)

    def forward(self, maps: Maps, condition: Tensor, context: Context | None = None) -> Maps:
        """Predictions for noisy planes; see `PlaneDenoiser`."""
        high, wide = self.patch
        tokens: list[Tensor] = []
        grids: list[tuple[int, int]] = []
        for plane, (unpadded, wraps) in enumerate(zip(maps, self.wraps, strict=True)):
            features = self._pad(unpadded, wraps)
            grid = features.shape[2] // high, features.shape[3] // wide
            patches = rearrange(
                features, f"batch channels {_CELLS} -> batch rows columns {_PATCH}", high=high, wide=wide
            )
            tokens.append((self.stem(patches) + self.positions(plane, grid)).flatten(1, 2))
            grids.append(grid)
        joined = torch.cat(tokens, dim=1)
        harmonics = self.harmonics(grids, joined.device)
        for block in self.blocks:
            joined = block(joined, condition, harmonics, context)
        shift, scale = self.modulation(condition).unsqueeze(1).chunk(2, dim=-1)
        joined = self.head(self.norm(joined) * (1 + scale) + shift)
        outputs = []
        for part, grid, original in zip(joined.split([t.shape[1] for t in tokens], dim=1), grids, maps, strict=True):
            pattern = f"batch (rows columns) {_PATCH} -> batch channels {_CELLS}"
            cells = rearrange(part, pattern, rows=grid[0], high=high, wide=wide)
            outputs.append(cells[:, :, : original.shape[2], : original.shape[3]])
        return outputs

    def _pad(self, features: Tensor, wraps: Wraps) -> Tensor:
        """Pad a map to whole patches: with zeros, or with the first cells of a periodic axis."""
        missing = [-size % side for size, side in zip(features.shape[2:], self.patch, strict=True)]
        for dim, (size, more, wrap) in enumerate(zip(features.shape[2:], missing, wraps, strict=True), start=2):
            if wrap and more:
                features = features.index_select(dim, torch.arange(size + more, device=features.device) % size)
                missing[dim - 2] = 0
        return F.pad(features, (0, missing[1], 0, missing[0]))
