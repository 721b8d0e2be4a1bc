"""Blocks of encoders and decoders beyond residual ones: attention over cells, and blocks over joined planes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ddmi_core.autoencoder.config import StagesConfig
from ddmi_core.blocks import Block
from ddmi_core.fields.layout import Layout
from ddmi_core.networks import (
    Attention,
    AxisExchange,
    Maps,
    ResidualBlock,
    Stages,
    apply_shared,
    common_axes,
    convolution,
    group_norm,
    map_wraps,
    start_at_zero,
)

Kernel = int | tuple[int, ...]


def residual_blocks(
    axes: int, before: int, width: int, config: StagesConfig, kernels: Sequence[Kernel]
) -> Iterator[ResidualBlock]:
    """Yield the residual blocks of one stage, the first of which may map `before` channels to `width`.

    Args:
        axes: number of grid axes.
        before: channels at the start of the stage.
        width: channels of the stage.
        config: number of blocks.
        kernels: a block of each kernel in turn is one of the blocks that are counted.
    """
    for _ in range(config.blocks):
        for kernel in kernels:
            yield ResidualBlock(axes, before, width, kernel)
            before = width


def middle(axes: int, width: int, kernel: Kernel, heads: int) -> Stages:
    """Block, attention and block at the coarsest stage, as in VQGAN (arXiv 2012.09841)."""
    return Stages(
        ResidualBlock(axes, width, width, kernel),
        CellAttention(width, heads),
        ResidualBlock(axes, width, width, kernel),
    )


class CellAttention(nn.Module):
    """Self-attention over cells, added to their features; zero before training.

    It has no positions: cells differ by what convolutions and the offsets of planes put into them. Therefore it
    commutes with shifts along periodic axes.

    Args:
        width: channels.
        heads: number of heads, a divisor of the width unless they are `wide`.
        wide: each head has `width` channels.
    """

    def __init__(self, width: int, heads: int, wide: bool = False) -> None:
        super().__init__()
        self.norm = group_norm(width)
        self.attention = Attention(width, heads, head_width=width if wide else 0)
        start_at_zero(self.attention.output)

    def forward(self, features: Tensor) -> Tensor:
        """Attention within one grid, `(B, C, *grid)`, any number of axes."""
        return self.joint([features])[0]

    def joint(self, maps: Maps) -> Maps:
        """Attention over the cells of all maps together; shapes stay the same."""
        tokens = [self.norm(m).flatten(2).mT for m in maps]
        mixed = self.attention(torch.cat(tokens, dim=1)).split([t.shape[1] for t in tokens], dim=1)
        return [m + part.mT.reshape(m.shape) for m, part in zip(maps, mixed, strict=True)]


class JoinedConvolution(nn.Module):
    """Convolves each plane together with lines of features of the planes that share an axis with it.

    The mean of the other plane over its second axis is resized and repeated along the axis that it lacks, and its
    channels are concatenated to those of the plane ("3D-aware convolution", Rodin, arXiv 2212.06135, section 3.2). Each
    plane has its own weights. For three planes that share axes pairwise, these are as many weights and operations as
    those of a convolution over the channels of all planes side by side, in which a cell would see cells of the other
    planes at unrelated places, and which needs planes of equal sizes.

    Args:
        layout: planes and axes.
        inputs, outputs: channels of each plane.
    """

    def __init__(self, layout: Layout, inputs: int, outputs: int) -> None:
        super().__init__()
        self.pairs = [[p for p in common_axes(layout) if p.here == plane] for plane in range(len(layout.planes))]
        self.wraps = map_wraps(layout)
        self.planes = nn.ModuleList(
            convolution(2, (1 + len(pairs)) * inputs, outputs, (3, 3) if len(plane) == 2 else (1, 3))
            for plane, pairs in zip(layout.planes, self.pairs, strict=True)
        )

    def forward(self, maps: Maps) -> Maps:
        """Map one `(B, inputs, H, W)` per plane to `(B, outputs, H, W)`."""
        result = []
        for plane, pairs, own, wraps in zip(self.planes, self.pairs, maps, self.wraps, strict=True):
            lines = [pair.along(pair.mean(maps), maps).expand_as(own) for pair in pairs]
            result.append(plane(torch.cat([own, *lines], dim=1), wraps))
        return result


class _JoinedBlock(Block):
    """A residual block of two joined convolutions."""

    def __init__(self, layout: Layout, width: int) -> None:
        super().__init__()
        self.norm1 = nn.ModuleList(group_norm(width) for _ in layout.planes)
        self.conv1 = JoinedConvolution(layout, width, width)
        self.norm2 = nn.ModuleList(group_norm(width) for _ in layout.planes)
        self.conv2 = JoinedConvolution(layout, width, width)
        # A block starts as its skip connection.
        for plane in self.conv2.planes:
            start_at_zero(plane)

    def forward(self, maps: Maps) -> Maps:
        """Map one `(B, C, H, W)` per plane to the same shapes."""
        hidden = self.conv1([F.silu(norm(m)) for norm, m in zip(self.norm1, maps, strict=True)])
        hidden = self.conv2([F.silu(norm(m)) for norm, m in zip(self.norm2, hidden, strict=True)])
        return [m + h for m, h in zip(maps, hidden, strict=True)]


class JoinedPlanes(nn.Module):
    """Block, attention and block over joined planes: exchange between planes with most of a network's capacity.

    The blocks consist of joined convolutions. The attention is over the cells of each plane, with weights of its own:
    features of other planes have arrived in the first block, and attention over the cells of all P planes together
    would cost P times as much.

    Args:
        layout: planes and axes.
        width: channels.
        heads: number of heads.

    Raises:
        ValueError: if no two planes share an axis.
    """

    def __init__(self, layout: Layout, width: int, heads: int) -> None:
        super().__init__()
        if not common_axes(layout):
            planes = ", ".join("(" + ", ".join(plane) + ")" for plane in layout.planes)
            raise ValueError(
                f"joined = true needs planes with a common axis; the layout's planes are {planes}. "
                "Fix: remove `joined`, or set `middle` or `attention` instead"
            )
        self.first, self.last = _JoinedBlock(layout, width), _JoinedBlock(layout, width)
        self.attentions = nn.ModuleList(CellAttention(width, heads) for _ in layout.planes)

    def forward(self, maps: Maps) -> Maps:
        """Map one `(B, C, H, W)` per plane to the same shapes."""
        maps = self.first(maps)
        maps = [attention(m) for attention, m in zip(self.attentions, maps, strict=True)]
        result: Maps = self.last(maps)
        return result


def exchange(layout: Layout, width: int, config: StagesConfig) -> AxisExchange | JoinedPlanes:
    """What planes exchange after the residual blocks of a stage."""
    return JoinedPlanes(layout, width, config.heads) if config.joined else AxisExchange(layout, width)


def attentions(widths: Sequence[int], factors: Sequence[int], config: StagesConfig) -> nn.ModuleList:
    """Attention over the cells of all planes at the end of each stage, or an identity.

    Args:
        widths: channels of each stage.
        factors: by which each stage is coarser than the finest one.
        config: its `attention` selects stages.

    Raises:
        ValueError: if no stage has one of the selected factors.
    """
    if unknown := sorted(set(config.attention) - set(factors)):
        raise ValueError(
            f"attention has {', '.join(map(str, unknown))}, but the {len(widths)} stages of widths={list(widths)} are "
            f"coarser than the finest one by {', '.join(map(str, sorted(factors)))}. Fix: choose among these"
        )
    return nn.ModuleList(
        CellAttention(width, config.heads, config.wide_heads) if factor in config.attention else nn.Identity()
        for width, factor in zip(widths, factors, strict=True)
    )


def attended(attention: nn.Module, maps: Maps) -> Maps:
    """The maps after a module of `attentions`."""
    return attention.joint(maps) if isinstance(attention, CellAttention) else maps


class PlaneMiddle(nn.Module):
    """Block, attention and block on each plane with shared weights, then what follows a stage.

    Args:
        layout: planes and axes.
        width: channels of the coarsest stage.
        config: what follows it.
        factor: by which the coarsest stage is coarser than the finest one. If `attention` has it, and there are several
            planes, attention over the cells of all of them comes last.
    """

    def __init__(self, layout: Layout, width: int, config: StagesConfig, factor: int) -> None:
        super().__init__()
        self.wraps = map_wraps(layout)
        self.shared = middle(2, width, plane_kernel(layout), config.heads)
        self.exchange = exchange(layout, width, config)
        joint = factor in config.attention and len(layout.planes) > 1
        self.attention = CellAttention(width, config.heads, config.wide_heads) if joint else nn.Identity()

    def forward(self, maps: Maps) -> Maps:
        """Map one `(B, C, H, W)` per plane to the same shapes."""
        return attended(self.attention, self.exchange(apply_shared(self.shared, maps, self.wraps)))


def plane_kernel(layout: Layout) -> tuple[int, int]:
    """Size of convolutions that planes share; a line has H = 1."""
    return (1, 3) if all(len(plane) == 1 for plane in layout.planes) else (3, 3)
