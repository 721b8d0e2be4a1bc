"""Network blocks shared by autoencoders and denoisers: convolutions, attention, and exchange between planes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ddmi_core.fields.layout import Layout
from ddmi_core.fields.planes import Planes

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


Maps = list[Tensor]  # one (B, C, H, W) per plane


def as_maps(planes: Planes) -> Maps:
    """Planes as 2-D feature maps `(B, C, H, W)`; a line has H = 1."""
    return [plane if plane.ndim == 4 else plane.unsqueeze(2) for plane in planes]


def as_planes(maps: Sequence[Tensor], layout: Layout) -> Planes:
    """The inverse of `as_maps`: removes the H axis of lines."""
    return Planes(m if len(plane) == 2 else m.squeeze(2) for m, plane in zip(maps, layout.planes, strict=True))


def apply_shared(function: Callable[[Tensor], Tensor], maps: Maps) -> Maps:
    """Apply one module to the maps of all planes, as a single batch if their sizes agree."""
    if len(maps) > 1 and len({tuple(m.shape[1:]) for m in maps}) == 1:
        return list(function(torch.cat(maps)).chunk(len(maps)))
    return [function(m) for m in maps]


class AxisExchange(nn.Module):
    """Adds to each plane features of the planes that share an axis with it.

    The mean of the other plane over its second axis is a line of features along the common axis. A linear map
    with shared weights is applied to the line, which is then resized and broadcast across the plane.

    Args:
        layout: planes and axes.
        channels: channels of the maps.
    """

    def __init__(self, layout: Layout, channels: int) -> None:
        super().__init__()
        self.pairs = [
            (here, there, plane.index(axis), other.index(axis))
            for here, plane in enumerate(layout.planes)
            for there, other in enumerate(layout.planes)
            if here != there
            for axis in plane
            if axis in other
        ]
        self.project = nn.Conv1d(channels, channels, 1) if self.pairs else None
        if self.project is not None:
            for parameter in self.project.parameters():
                nn.init.zeros_(parameter)

    def forward(self, maps: Maps) -> Maps:
        """Map one `(B, C, H, W)` per plane to the same shapes."""
        if self.project is None:
            return maps
        exchanged = list(maps)
        for here, there, place, other_place in self.pairs:
            # The first axis of a plane runs along W (dimension 3), the second along H (dimension 2).
            line = self.project(maps[there].mean(dim=2 + other_place))
            size = maps[here].shape[3 - place]
            if line.shape[-1] != size:
                line = F.interpolate(line, size=size, mode="linear", align_corners=False)
            exchanged[here] = exchanged[here] + line.unsqueeze(2 + place)
        return exchanged
