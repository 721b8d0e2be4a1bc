"""Encoder of grids by attention: along the slowest axis and over the others in turn, then gathered to planes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import pi
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ddmi_core.api.interfaces import Encoder
from ddmi_core.autoencoder.config import EncoderConfig
from ddmi_core.blocks import Block
from ddmi_core.fields.coordinates import cell_centres
from ddmi_core.fields.layout import Layout
from ddmi_core.fields.planes import Planes, Posterior
from ddmi_core.networks import Attention, patch_embedding, sinusoids, start_at_zero

FREQUENCIES = 32  # of positions on axes that are not periodic
ORDERS = 8  # harmonics of distances on each periodic axis


class GridTransformer(Encoder[Any]):
    """Transformer over the patches of a grid, then over the axes that each plane lacks.

    Each layer attends along the slowest axis, then over all other axes together (divided attention, TimeSformer, arXiv
    2102.05095, section 3), where attention over all patches at once would cost as many times more as the slowest axis
    has patches. A plane gets layers of its own along the axes that it lacks, and then their mean (PVDM, arXiv
    2302.07685, section 3.1, has a token in place of the mean). Positions are added to patches; on periodic axes,
    attention depends on distances instead, so rolling the grid by whole patches rolls the latent.

    Args:
        grid: function from a signal to its grid `(B, channels, *grid)`, slowest axis first.
        channels: channels of that grid.
        layout: its axes are the grid's axes.
        latent_channels: C of the latent.
        config: one width, layers, heads and patch.

    Raises:
        ValueError: if the patch does not match the number of axes, or the layout has an embedding.

    Example:
        >>> layout = Layout(axes=("x", "y", "t"), planes=(("x", "y"), ("y", "t"), ("x", "t")))
        >>> config = EncoderConfig(kind="transformer", widths=(16,), heads=2, patch=(1, 4, 4))
        >>> encoder = GridTransformer(lambda signal: signal, 3, layout, 4, config)
        >>> [tuple(plane.shape) for plane in encoder(torch.zeros(1, 3, 6, 8, 12)).mean]
        [(1, 4, 2, 3), (1, 4, 6, 2), (1, 4, 6, 3)]
    """

    def __init__(
        self,
        grid: Callable[[Any], Tensor],
        channels: int,
        layout: Layout,
        latent_channels: int,
        config: EncoderConfig,
    ) -> None:
        super().__init__()
        axes, (width,) = len(layout.axes), config.widths
        patch = config.patch or (1,) * axes
        if layout.embedding is not None:
            raise ValueError(
                'encoder.kind = "transformer" gathers a grid along its own axes, but the planes of this layout span '
                f'other ones ({", ".join(layout.plane_axes)}). Fix: set encoder.kind = "convolution"'
            )
        if len(patch) != axes:
            raise ValueError(f"encoder.patch={patch} needs one number for each of {axes} axes, slowest first")
        self.grid, self.layout = grid, layout
        self.wraps = layout.wraps[::-1]
        self.stem = patch_embedding(axes, channels, width, patch)
        self.positions = nn.ModuleList(
            nn.Identity() if wraps else nn.Linear(FREQUENCIES, width) for wraps in self.wraps
        )
        groups = [(0,), tuple(range(1, axes))] if axes > 1 else [(0,)]
        self.layers = nn.ModuleList(_Layer(groups, self.wraps, config) for _ in range(config.blocks))
        self.lacking = [
            tuple(axes - 1 - column for column in reversed(range(axes)) if column not in columns)
            for columns in layout.columns
        ]
        self.gathering = nn.ModuleList(
            nn.ModuleList(_Layer([lacks], self.wraps, config) for _ in range(config.plane_blocks if lacks else 0))
            for lacks in self.lacking
        )
        self.norm = nn.LayerNorm(width)
        self.heads = nn.ModuleList(nn.Linear(width, 2 * latent_channels) for _ in layout.planes)

    def forward(self, signal: Any) -> Posterior:
        """Posterior with one latent per plane: `(B, C, *grid)`, the grid divided by the patch."""
        tokens = self.stem(self.grid(signal)).movedim(1, -1)
        for axis, (position, wraps) in enumerate(zip(self.positions, self.wraps, strict=True)):
            if not wraps:
                size = tokens.shape[1 + axis]
                vectors = position(sinusoids(cell_centres(size, tokens.device), FREQUENCIES, highest=32.0))
                tokens = tokens + vectors.view(size, *[1] * (tokens.ndim - 3 - axis), -1)
        for layer in self.layers:
            tokens = layer(tokens)
        means, log_variances = [], []
        parts = zip(self.lacking, self.gathering, self.heads, self.layout.columns, strict=True)
        for lacks, layers, head, columns in parts:
            own = tokens
            for layer in layers:  # type: ignore[attr-defined]
                own = layer(own)
            plane = head(self.norm(own.mean(dim=[1 + axis for axis in lacks]) if lacks else own)).movedim(-1, 1)
            if columns[0] > columns[-1]:
                plane = plane.transpose(-1, -2)
            mean, log_variance = plane.chunk(2, dim=1)
            means.append(mean)
            log_variances.append(log_variance.clamp(-20, 10))
        return Posterior(Planes(means), Planes(log_variances))


class _Layer(Block):
    """Attention over groups of axes in turn, then a gated feed-forward network (arXiv 2002.05202).

    Args:
        groups: axes of each attention, slowest first.
        wraps: whether each axis of the grid is periodic, slowest first.
        config: width, and heads.
    """

    def __init__(self, groups: Sequence[tuple[int, ...]], wraps: Sequence[bool], config: EncoderConfig) -> None:
        super().__init__()
        (width,) = config.widths
        self.groups, self.wraps = groups, wraps
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in groups)
        self.attentions = nn.ModuleList(
            Attention(width, config.heads, ORDERS * sum(wraps[axis] for axis in group), config.head_width)
            for group in groups
        )
        self.norm = nn.LayerNorm(width)
        self.inner, self.outer = nn.Linear(width, 8 * width), nn.Linear(4 * width, width)
        # A layer starts as its skip connections.
        start_at_zero(self.outer)
        for attention in self.attentions:
            start_at_zero(attention.output)  # type: ignore[arg-type]

    def forward(self, tokens: Tensor) -> Tensor:
        """Map `(B, *grid, width)` to the same shape."""
        for group, norm, attention in zip(self.groups, self.norms, self.attentions, strict=True):
            dims, places = [1 + axis for axis in group], range(-1 - len(group), -1)
            rows = tokens.movedim(dims, list(places))
            mixed = attention(norm(rows.flatten(0, -2 - len(group)).flatten(1, -2)), self._harmonics(rows, group))
            tokens = tokens + mixed.view(rows.shape).movedim(list(places), dims)
        value, gate = self.inner(self.norm(tokens)).chunk(2, dim=-1)
        output: Tensor = tokens + self.outer(value * F.gelu(gate))
        return output

    def _harmonics(self, rows: Tensor, group: tuple[int, ...]) -> Tensor | None:
        """Cosines and sines of positions on the periodic axes of a group, `(2, T, count)`; None without any."""
        sizes = rows.shape[-1 - len(group) : -1]
        waves = []
        for place, (axis, size) in enumerate(zip(group, sizes, strict=True)):
            if self.wraps[axis]:
                orders = torch.arange(1, ORDERS + 1, device=rows.device)
                angles = pi * cell_centres(size, rows.device)[:, None] * orders
                shape = [size if other == place else 1 for other in range(len(group))]
                along = torch.stack([angles.cos(), angles.sin()]).view(2, *shape, ORDERS)
                waves.append(along.expand(2, *sizes, ORDERS))
        return torch.cat(waves, dim=-1).flatten(1, -2) if waves else None
