"""Building blocks: convolutions over one, two or three axes, residual blocks and self-attention."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_CONVOLUTIONS: dict[int, type[nn.Conv1d] | type[nn.Conv2d] | type[nn.Conv3d]] = {
    1: nn.Conv1d,
    2: nn.Conv2d,
    3: nn.Conv3d,
}


def convolution(axes: int, inputs: int, outputs: int, kernel: int | tuple[int, ...] = 3, stride: int = 1) -> nn.Module:
    """A convolution over `axes` grid axes; it keeps the size (stride 1) or divides it by the stride, rounded up."""
    sizes = kernel if isinstance(kernel, tuple) else (kernel,) * axes
    padding = tuple(size // 2 for size in sizes)
    return _CONVOLUTIONS[axes](inputs, outputs, sizes, stride=stride, padding=padding)  # type: ignore[arg-type]


def patch_embedding(axes: int, inputs: int, outputs: int, sides: tuple[int, ...]) -> nn.Module:
    """A convolution that maps each block of `sides` cells to one cell."""
    return _CONVOLUTIONS[axes](inputs, outputs, sides, stride=sides)  # type: ignore[arg-type]


def group_norm(channels: int) -> nn.GroupNorm:
    """Group normalisation with groups of about 16 channels."""
    groups = max(1, channels // 16)
    while channels % groups:
        groups -= 1
    return nn.GroupNorm(groups, channels)


class ResidualBlock(nn.Module):
    """Two normalised convolutions and a skip connection, optionally modulated by a conditioning vector.

    Args:
        axes: grid axes, 1 to 3.
        inputs, outputs: channels.
        kernel: size of the convolutions.
        condition: width of the conditioning vector that scales and shifts the inner activation; 0 for none.
    """

    def __init__(
        self, axes: int, inputs: int, outputs: int, kernel: int | tuple[int, ...] = 3, condition: int = 0
    ) -> None:
        super().__init__()
        self.norm1 = group_norm(inputs)
        self.conv1 = convolution(axes, inputs, outputs, kernel)
        self.norm2 = group_norm(outputs)
        self.conv2 = convolution(axes, outputs, outputs, kernel)
        self.skip = convolution(axes, inputs, outputs, 1) if inputs != outputs else nn.Identity()
        self.modulation = nn.Linear(condition, 2 * outputs) if condition else None
        # A block starts as its skip connection.
        nn.init.zeros_(self.conv2.weight)  # type: ignore[arg-type]
        nn.init.zeros_(self.conv2.bias)  # type: ignore[arg-type]
        if self.modulation is not None:
            nn.init.zeros_(self.modulation.weight)
            nn.init.zeros_(self.modulation.bias)

    def forward(self, features: Tensor, condition: Tensor | None = None) -> Tensor:
        """Map `(B, C_in, *grid)` and an optional `(B, condition)` to `(B, C_out, *grid)`."""
        hidden = self.norm2(self.conv1(F.silu(self.norm1(features))))
        if self.modulation is not None and condition is not None:
            scale, shift = self.modulation(condition).view(len(hidden), -1, *[1] * (hidden.ndim - 2)).chunk(2, dim=1)
            hidden = torch.addcmul(shift, hidden, 1 + scale)
        output: Tensor = self.skip(features) + self.conv2(F.silu(hidden))
        return output


class Attention(nn.Module):
    """Multi-head self-attention over tokens, with normalised queries and keys.

    Args:
        width: channels of a token.
        heads: number of heads; lowered to divide the width.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        while width % heads:
            heads -= 1
        self.heads = heads
        self.inputs = nn.Linear(width, 3 * width)
        self.output = nn.Linear(width, width)
        self.query_norm = nn.RMSNorm(width // heads)
        self.key_norm = nn.RMSNorm(width // heads)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map `(B, T, width)` to the same shape."""
        query, key, value = self.inputs(tokens).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(self.query_norm(query), self.key_norm(key), value)
        output: Tensor = self.output(mixed.transpose(1, 2).flatten(2))
        return output
