"""Convolutional building blocks for grids of one, two or three axes."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

CONVOLUTIONS: dict[int, type[nn.Conv1d] | type[nn.Conv2d] | type[nn.Conv3d]] = {
    1: nn.Conv1d,
    2: nn.Conv2d,
    3: nn.Conv3d,
}


def convolution(axes: int, inputs: int, outputs: int, kernel: int | tuple[int, ...] = 3, stride: int = 1) -> nn.Module:
    """A convolution over `axes` grid axes that keeps the size (stride 1) or divides it (rounded up)."""
    sizes = kernel if isinstance(kernel, tuple) else (kernel,) * axes
    padding = tuple(size // 2 for size in sizes)
    return CONVOLUTIONS[axes](inputs, outputs, sizes, stride=stride, padding=padding)  # type: ignore[arg-type]


def patches(axes: int, inputs: int, outputs: int, sides: tuple[int, ...]) -> nn.Module:
    """A convolution that makes one cell of each block of cells."""
    return CONVOLUTIONS[axes](inputs, outputs, sides, stride=sides)  # type: ignore[arg-type]


def groups(channels: int) -> int:
    """Groups of a group normalisation: about 16 channels a group, dividing the channels."""
    count = max(1, channels // 16)
    while channels % count:
        count -= 1
    return count


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
        self.norm1 = nn.GroupNorm(groups(inputs), inputs)
        self.conv1 = convolution(axes, inputs, outputs, kernel)
        self.norm2 = nn.GroupNorm(groups(outputs), outputs)
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
