"""DINOv2 (arXiv 2304.07193) for the state dictionaries of its hub, such as `dinov2_vitb14_pretrain.pth`."""

from __future__ import annotations

from collections.abc import Mapping
from math import isqrt
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ddmi_core.errors import DataError
from ddmi_core.network_files import load_into, load_state

HEAD = 64  # channels of a head, in all published sizes
OFFSET = 0.1  # cells added to the grid's length when positions are resized, as in the hub


class DinoV2(nn.Module):
    """A vision transformer with layer scale; pictures `(B, 3, H, W)` to the class token `(B, C)` after the last norm.

    Sizes are those of the weights: patches, channels, layers, and the kind of feed-forward layers.

    Args:
        state: the state dictionary; its values are not read.
    """

    def __init__(self, state: Mapping[str, Tensor]) -> None:
        super().__init__()
        channels, _, self.patch, _ = state["patch_embed.proj.weight"].shape
        self.cls_token = nn.Parameter(torch.empty_like(state["cls_token"]))
        self.pos_embed = nn.Parameter(torch.empty_like(state["pos_embed"]))
        if "mask_token" in state:  # used in training alone
            self.mask_token = nn.Parameter(torch.empty_like(state["mask_token"]))
        registers = state.get("register_tokens")
        self.register_tokens = None if registers is None else nn.Parameter(torch.empty_like(registers))
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(3, channels, self.patch, self.patch)})
        layers = {int(name.split(".")[1]) for name in state if name.startswith("blocks.")}
        gated = _GATED in state
        hidden = state[_GATED].shape[1] if gated else len(state.get(_PLAIN, ()))
        self.blocks = nn.ModuleList(_Block(channels, hidden, gated) for _ in range(max(layers, default=-1) + 1))
        self.norm = nn.LayerNorm(channels, eps=1e-6)

    @classmethod
    def of_file(cls, path: Path) -> nn.Module:
        """The network with the weights of a file.

        Raises:
            DataError: if the file holds other weights.
        """
        state = load_state(path)
        lacking = [name for name in ("patch_embed.proj.weight", "cls_token", "pos_embed") if name not in state]
        if lacking:
            raise DataError(f"{path}: not the weights of DINOv2: without {', '.join(lacking)}")
        return load_into(cls(state), state, path)

    def forward(self, pictures: Tensor) -> Tensor:
        """Features `(B, C)`; both sides of the pictures must be multiples of the patch."""
        cells = self.patch_embed["proj"](pictures)
        tokens = torch.cat([self.cls_token.expand(len(cells), -1, -1), cells.flatten(2).mT], dim=1)
        tokens = tokens + self._positions(cells.shape[-2], cells.shape[-1])
        if self.register_tokens is not None:
            registers = self.register_tokens.expand(len(cells), -1, -1)
            tokens = torch.cat([tokens[:, :1], registers, tokens[:, 1:]], dim=1)
        for block in self.blocks:
            tokens = block(tokens)
        found: Tensor = self.norm(tokens)[:, 0]
        return found

    def _positions(self, rows: int, columns: int) -> Tensor:
        """Positions of the class token and of a grid of patches: `(1, 1 + rows * columns, C)`."""
        side = isqrt(self.pos_embed.shape[1] - 1)
        if (rows, columns) == (side, side):
            return self.pos_embed
        grid = self.pos_embed[:, 1:].reshape(1, side, side, -1).movedim(-1, 1)
        # The hub resizes positions of networks with registers to a size, with antialiasing, and others by factors.
        if self.register_tokens is None:
            factors = ((rows + OFFSET) / side, (columns + OFFSET) / side)
            grid = F.interpolate(grid, scale_factor=factors, mode="bicubic")
        else:
            grid = F.interpolate(grid, (rows, columns), mode="bicubic", antialias=True)
        return torch.cat([self.pos_embed[:, :1], grid.flatten(2).mT], dim=1)


_PLAIN, _GATED = "blocks.0.mlp.fc1.weight", "blocks.0.mlp.w3.weight"


class _Scale(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.empty(channels))

    def forward(self, tokens: Tensor) -> Tensor:
        """Scale each channel."""
        return tokens * self.gamma


class _Attention(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.qkv, self.proj = nn.Linear(channels, 3 * channels), nn.Linear(channels, channels)

    def forward(self, tokens: Tensor) -> Tensor:
        """Self-attention of `(B, T, C)`."""
        query, key, value = self.qkv(tokens).reshape(*tokens.shape[:2], 3, -1, HEAD).permute(2, 0, 3, 1, 4)
        found: Tensor = self.proj(F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2))
        return found


class _Mlp(nn.Module):
    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(channels, hidden), nn.Linear(hidden, channels)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map each token."""
        found: Tensor = self.fc2(F.gelu(self.fc1(tokens)))
        return found


class _Gated(nn.Module):
    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.w12, self.w3 = nn.Linear(channels, 2 * hidden), nn.Linear(hidden, channels)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map each token; SwiGLU (arXiv 2002.05202)."""
        gate, values = self.w12(tokens).chunk(2, dim=-1)
        found: Tensor = self.w3(F.silu(gate) * values)
        return found


class _Block(nn.Module):
    def __init__(self, channels: int, hidden: int, gated: bool) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(channels, eps=1e-6), nn.LayerNorm(channels, eps=1e-6)
        self.attn, self.mlp = _Attention(channels), _Gated(channels, hidden) if gated else _Mlp(channels, hidden)
        self.ls1, self.ls2 = _Scale(channels), _Scale(channels)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map `(B, T, C)` to the same shape."""
        tokens = tokens + self.ls1(self.attn(self.norm1(tokens)))
        found: Tensor = tokens + self.ls2(self.mlp(self.norm2(tokens)))
        return found
