"""Network blocks shared by autoencoders and denoisers: convolutions, attention, and exchange between planes.

Blocks with convolutions take `wraps`: whether each grid axis is periodic, slowest first; empty for none. It is an
argument of `forward`, because planes of different periodicity share weights.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from math import log

import torch
from attrs import frozen
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.conv import _ConvNd

from ddmi_core.blocks import Block
from ddmi_core.fields.coordinates import cell_centres
from ddmi_core.fields.interpolate import axis_taps, wrap_around
from ddmi_core.fields.layout import Layout
from ddmi_core.fields.planes import Planes

Wraps = tuple[bool, ...]  # whether each grid axis is periodic, slowest first; empty for none

_CONVOLVE: dict[int, Callable[..., Tensor]] = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}


def _no_autocast_on_cpus(operation: Callable[..., Tensor], dtype: torch.dtype, *inputs: Tensor) -> Tensor:
    """An operation on tensors; on CPUs without autocast, on the tensors in `dtype`."""
    if inputs[0].device.type != "cpu":
        return operation(*inputs)
    with torch.autocast("cpu", enabled=False):
        return operation(*(tensor.to(dtype) for tensor in inputs))


class _Wrapping(_ConvNd):
    """A convolution that pads periodic axes with the cells at their other end, and the others with zeros."""

    def forward(self, features: Tensor, wraps: Wraps = ()) -> Tensor:
        """Map `(B, C_in, *grid)` to `(B, C_out, *grid / stride)`."""
        sizes = [int(size) for size in self.padding]
        if not any(wrap and size for wrap, size in zip(wraps, sizes, strict=False)):
            return self._conv_forward(features, self.weight, self.bias)
        around = [size if wrap else 0 for wrap, size in zip(wraps, sizes, strict=True)]
        zeros = [size - wrapped for size, wrapped in zip(sizes, around, strict=True)]
        return _CONVOLVE[len(sizes)](wrap_around(features, around), self.weight, self.bias, self.stride, zeros)


class _Convolution1d(_Wrapping, nn.Conv1d):
    pass


class _Convolution2d(_Wrapping, nn.Conv2d):
    def forward(self, features: Tensor, wraps: Wraps = ()) -> Tensor:
        """Map `(B, C_in, *grid)` to `(B, C_out, *grid / stride)`, with the channels of a cell side by side in memory.

        All following blocks keep this order, in which convolutions are faster: they do not reorder each map.
        """
        return super().forward(features.contiguous(memory_format=torch.channels_last), wraps)


class _Convolution3d(_Wrapping, nn.Conv3d):
    def forward(self, features: Tensor, wraps: Wraps = ()) -> Tensor:
        """Map `(B, C_in, *grid)` to `(B, C_out, *grid / stride)`; on CPUs in the precision of the weights.

        In bfloat16, torch's gradient of 3-D weights on CPUs is NaN for some sizes (2.13).
        """
        return _no_autocast_on_cpus(partial(super().forward, wraps=wraps), self.weight.dtype, features)


class _Factorised(nn.Module):
    """Convolution over four or more axes: one over the three fastest axes, then one over the others.

    The arguments are those of `_convolution`.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: Sequence[int], stride: Sequence[int], padding: Sequence[int]
    ) -> None:
        super().__init__()
        self.fast = _convolution(inputs, outputs, kernel[-3:], stride[-3:], padding[-3:])
        self.slow = _convolution(outputs, outputs, kernel[:-3], stride[:-3], padding[:-3])

    @property
    def last(self) -> nn.Module:
        """The convolution that is applied last."""
        return self.slow.last if isinstance(self.slow, _Factorised) else self.slow

    def forward(self, features: Tensor, wraps: Wraps = ()) -> Tensor:
        """Map `(B, C_in, *grid)` to `(B, C_out, *grid / stride)`."""
        slow = features.ndim - 5
        # The axes that a convolution does not span join the batch.
        rows = features.movedim(1, 1 + slow)
        batch = rows.shape[: 1 + slow]
        rows = self.fast(rows.flatten(0, slow), wraps[-3:]).unflatten(0, batch)
        rows = rows.movedim((-3, -2, -1), (1, 2, 3)).movedim(4 + slow, 4)
        batch = rows.shape[:4]
        rows = self.slow(rows.flatten(0, 3), wraps[:-3]).unflatten(0, batch)
        output: Tensor = rows.movedim((1, 2, 3), (-3, -2, -1))
        return output


def _convolution(
    inputs: int, outputs: int, kernel: Sequence[int], stride: Sequence[int], padding: Sequence[int]
) -> nn.Module:
    """A convolution over as many axes as `kernel` has numbers."""
    if len(kernel) > 3:
        return _Factorised(inputs, outputs, kernel, stride, padding)
    kind = {1: _Convolution1d, 2: _Convolution2d, 3: _Convolution3d}[len(kernel)]
    return kind(inputs, outputs, tuple(kernel), tuple(stride), tuple(padding))  # type: ignore[arg-type]


def convolution(axes: int, inputs: int, outputs: int, kernel: int | tuple[int, ...] = 3, stride: int = 1) -> nn.Module:
    """A convolution over `axes` grid axes; it keeps the size (stride 1) or divides it by the stride, rounded up.

    Four axes and more are factorised: three axes at a time, fastest first. Its forward method takes `wraps`.
    """
    sizes = kernel if isinstance(kernel, tuple) else (kernel,) * axes
    return _convolution(inputs, outputs, sizes, (stride,) * axes, tuple(size // 2 for size in sizes))


def patch_embedding(axes: int, inputs: int, outputs: int, sides: tuple[int, ...]) -> nn.Module:
    """A convolution that maps each block of `sides` cells to one cell."""
    return _convolution(inputs, outputs, sides, sides, (0,) * axes)


def apply(module: nn.Module, features: Tensor, wraps: Wraps) -> Tensor:
    """Apply a module, with `wraps` if it has convolutions."""
    convolves = isinstance(module, _Wrapping | _Factorised | ResidualBlock | Stages)
    output: Tensor = module(features, wraps=wraps) if convolves else module(features)
    return output


class Stages(nn.Sequential):
    """Modules in sequence, which pass `wraps` to their convolutions."""

    def forward(self, features: Tensor, wraps: Wraps = ()) -> Tensor:
        """Map `(B, C_in, *grid)` to `(B, C_out, *grid / stride)`."""
        for module in self:
            features = apply(module, features, wraps)
        return features


def start_at_zero(module: nn.Module) -> None:
    """Let a convolution or linear layer return zero before training."""
    last = module.last if isinstance(module, _Factorised) else module
    for parameter in last.parameters():
        nn.init.zeros_(parameter)


def group_norm(channels: int) -> nn.GroupNorm:
    """Group normalisation with groups of about 16 channels."""
    groups = max(1, channels // 16)
    while channels % groups:
        groups -= 1
    return nn.GroupNorm(groups, channels)


class ResidualBlock(Block):
    """Two normalised convolutions and a skip connection, optionally modulated by a conditioning vector.

    Args:
        axes: number of grid axes.
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
        start_at_zero(self.conv2)
        if self.modulation is not None:
            nn.init.zeros_(self.modulation.weight)
            nn.init.zeros_(self.modulation.bias)

    def forward(self, features: Tensor, condition: Tensor | None = None, wraps: Wraps = ()) -> Tensor:
        """Map `(B, C_in, *grid)` and an optional `(B, condition)` to `(B, C_out, *grid)`."""
        hidden = self.norm2(self.conv1(F.silu(self.norm1(features)), wraps))
        if self.modulation is not None and condition is not None:
            scale, shift = self.modulation(condition).view(len(hidden), -1, *[1] * (hidden.ndim - 2)).chunk(2, dim=1)
            hidden = torch.addcmul(shift, hidden, 1 + scale)
        output: Tensor = self.skip(features) + self.conv2(F.silu(hidden), wraps)
        return output


def sinusoids(values: Tensor, width: int, highest: float = 1000.0) -> Tensor:
    """Sines and cosines of `(n,)` values at `width / 2` frequencies from 1 to `highest`: `(n, width)`."""
    exponents = torch.linspace(0, log(highest), width // 2, device=values.device)
    angles = values[:, None] * exponents.exp()
    return torch.cat([angles.sin(), angles.cos()], dim=1)


class _RMSNorm(nn.RMSNorm):
    """RMS normalisation whose weight takes the input's type: torch's fused kernel needs equal ones under autocast."""

    def forward(self, features: Tensor) -> Tensor:
        """Map `(..., C)` to the same shape and type."""
        return F.rms_norm(features, self.normalized_shape, self.weight.to(features.dtype), self.eps)


def attention(
    query: Tensor, key: Tensor, value: Tensor, scale: float | None = None, mask: Tensor | None = None
) -> Tensor:
    """Scaled dot-product attention; on CPUs in float32, because the gradient in bfloat16 is many times slower there.

    Args:
        query: `(B, heads, T, width)`.
        key, value: `(B, heads, S, width)`.
        scale: factor of the products; by default 1 / sqrt(width).
        mask: which of the S tokens each query may attend to, of a shape that broadcasts to `(B, heads, T, S)`.

    Returns:
        `(B, heads, T, width)`.
    """
    attend = partial(F.scaled_dot_product_attention, attn_mask=mask, scale=scale)
    return _no_autocast_on_cpus(attend, torch.float32, query, key, value)


class Attention(Block):
    """Multi-head self-attention over tokens, with normalised queries and keys.

    On periodic axes, the score of two tokens has an additional term that depends on their distance d alone:
    `sum over k of a_k cos(k d) + b_k sin(k d)`, where the query determines a_k and b_k. It is exactly periodic.

    Args:
        width: channels of a token.
        heads: number of heads.
        harmonics: number of harmonics of all periodic axes together.
        head_width: channels of a head; 0 divides the width among the heads.

    Raises:
        ValueError: if the heads do not divide the width, and `head_width` is 0.
    """

    def __init__(self, width: int, heads: int, harmonics: int = 0, head_width: int = 0) -> None:
        super().__init__()
        if not head_width and width % heads:
            fitting = max(number for number in range(1, heads) if not width % number)
            raise ValueError(
                f"heads = {heads} does not divide a width of {width} channels with attention. Fix: set heads to "
                f"{fitting}, or change the width"
            )
        head_width = head_width or width // heads
        self.heads = heads
        self.inputs = nn.Linear(width, 3 * heads * head_width)
        self.output = nn.Linear(heads * head_width, width)
        self.query_norm = _RMSNorm(head_width)
        self.key_norm = _RMSNorm(head_width)
        self.relative = nn.Linear(width, 2 * heads * harmonics) if harmonics else None

    def forward(self, tokens: Tensor, harmonics: Tensor | None = None) -> Tensor:
        """Map `(B, T, width)` to the same shape.

        Args:
            tokens: `(B, T, width)`.
            harmonics: cosines and sines of the tokens' positions on periodic axes, `(2, T, harmonics)`; zero for
                a token that has no position on an axis.
        """
        query, key, value = self.inputs(tokens).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        query, key, scale = self.query_norm(query), self.key_norm(key), query.shape[-1] ** -0.5
        if self.relative is not None and harmonics is not None:
            even, odd = self.relative(tokens).unflatten(-1, (2, self.heads, -1)).permute(2, 0, 3, 1, 4)
            cosines, sines = harmonics
            # cos(q - k) = cos q cos k + sin q sin k, and sin(q - k) = sin q cos k - cos q sin k.
            query = torch.cat([query, even * cosines + odd * sines, even * sines - odd * cosines], dim=-1)
            waves = torch.cat([cosines, sines], dim=-1).to(key.dtype).expand(*key.shape[:2], -1, -1)
            key = torch.cat([key, waves], dim=-1)
        mixed = attention(query, key, value, scale)
        output: Tensor = self.output(mixed.transpose(1, 2).flatten(2))
        return output


Maps = list[Tensor]  # one (B, C, H, W) per plane


def as_maps(planes: Planes) -> Maps:
    """Planes as 2-D feature maps `(B, C, H, W)`; a line has H = 1."""
    return [plane if plane.ndim == 4 else plane.unsqueeze(2) for plane in planes]


def as_planes(maps: Sequence[Tensor], layout: Layout) -> Planes:
    """The inverse of `as_maps`: removes the H axis of lines."""
    return Planes(m if len(plane) == 2 else m.squeeze(2) for m, plane in zip(maps, layout.planes, strict=True))


def map_wraps(layout: Layout) -> list[Wraps]:
    """Whether H and W of each plane's map are periodic."""
    return [(False, *wraps) if len(wraps) == 1 else wraps[::-1] for wraps in layout.plane_wraps]


def apply_shared(function: Callable[[Tensor, Wraps], Tensor], maps: Maps, wraps: Sequence[Wraps]) -> Maps:
    """Apply one module to the maps of all planes, as a single batch if their sizes and periodic axes agree."""
    if len(maps) > 1 and len({tuple(m.shape[1:]) for m in maps}) == 1 and len(set(wraps)) == 1:
        return list(function(torch.cat(maps), wraps[0]).chunk(len(maps)))
    return [function(m, wrap) for m, wrap in zip(maps, wraps, strict=True)]


def resized(line: Tensor, size: int, wraps: bool) -> Tensor:
    """Linear interpolation of lines `(B, C, W)` to `size` cells; across the border if the axis is periodic."""
    if not wraps:
        return F.interpolate(line, size=size, mode="linear", align_corners=False)
    taps = axis_taps(cell_centres(size, line.device), line.shape[-1], wraps)
    return torch.lerp(line[..., taps.low], line[..., taps.high], taps.weight.to(line.dtype))


@frozen
class CommonAxis:
    """An axis that two planes span, seen from one of them."""

    here: int  # index of the plane that receives
    there: int  # index of the other plane
    place: int  # of the axis in the receiving plane: 0 along W, 1 along H
    other_place: int  # of the axis in the other plane
    wraps: bool  # whether the axis is periodic

    def mean(self, maps: Maps) -> Tensor:
        """Mean of the other plane over its second axis, `(B, C, cells)`."""
        # The first axis of a plane runs along W (dimension 3), the second along H (dimension 2).
        return maps[self.there].mean(dim=2 + self.other_place)

    def along(self, line: Tensor, maps: Maps) -> Tensor:
        """A line `(B, C, cells)`, resized for the receiving plane: `(B, C, 1, W)` or `(B, C, H, 1)`."""
        size = maps[self.here].shape[3 - self.place]
        if line.shape[-1] != size:
            line = resized(line, size, self.wraps)
        return line.unsqueeze(2 + self.place)


def common_axes(layout: Layout) -> list[CommonAxis]:
    """Every axis that a plane shares with another one, plane by plane."""
    return [
        CommonAxis(here, there, plane.index(axis), other.index(axis), axis in layout.periodic)
        for here, plane in enumerate(layout.planes)
        for there, other in enumerate(layout.planes)
        if here != there
        for axis in plane
        if axis in other
    ]


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
        self.pairs = common_axes(layout)
        self.project = nn.Conv1d(channels, channels, 1) if self.pairs else None
        if self.project is not None:
            for parameter in self.project.parameters():
                nn.init.zeros_(parameter)

    def forward(self, maps: Maps) -> Maps:
        """Map one `(B, C, H, W)` per plane to the same shapes."""
        if self.project is None:
            return maps
        exchanged = list(maps)
        for pair in self.pairs:
            exchanged[pair.here] = exchanged[pair.here] + pair.along(self.project(pair.mean(maps)), maps)
        return exchanged
