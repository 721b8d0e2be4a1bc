"""Embeddings of times, positions, classes and condition vectors."""

from __future__ import annotations

from collections.abc import Sequence
from math import pi

import torch
from torch import Tensor, nn

from ddmi_core.fields.coordinates import cell_centres
from ddmi_core.fields.layout import Layout
from ddmi_core.networks import sinusoids


class TimeEmbedding(nn.Module):
    """Maps times in [0, 1] to vectors."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.network = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, times: Tensor) -> Tensor:
        """Map `(B,)` to `(B, width)`."""
        vectors: Tensor = self.network(sinusoids(times, self.width))
        return vectors


class AxisPositions(nn.Module):
    """Position embeddings of the cells of each plane: the sum of one embedding per axis and one per plane.

    Planes with a common axis share its embedding, so cells with a common coordinate get related embeddings. Periodic
    axes have none, because they have no origin: attention gets their `harmonics` instead.
    """

    def __init__(self, layout: Layout, width: int, frequencies: int = 32) -> None:
        super().__init__()
        self.layout, self.frequencies = layout, frequencies
        self.axes = nn.ModuleList(
            nn.Identity() if axis in layout.periodic else nn.Linear(frequencies, width) for axis in layout.plane_axes
        )
        self.planes = nn.Parameter(torch.zeros(len(layout.planes), width))

    def forward(self, plane: int, grid: tuple[int, ...]) -> Tensor:
        """Position embeddings for a plane with a grid `(H, W)`, H = 1 for a line: `(H, W, width)`."""
        total = self.planes[plane]
        for place, column in enumerate(self.layout.columns[plane]):
            if self.layout.plane_wraps[plane][place]:
                continue
            size = grid[1 - place]
            centres = cell_centres(size, total.device)
            vectors = self.axes[column](sinusoids(centres, self.frequencies, highest=32.0))
            total = total + (vectors[None, :] if place == 0 else vectors[:, None])
        return total.expand(*grid, -1)


class Harmonics:
    """Cosines and sines of the cells' angles on periodic axes, for `Attention`; angle pi per unit of coordinate.

    Args:
        layout: planes and axes.
        orders: harmonics of each axis, 1 to `orders`.
    """

    def __init__(self, layout: Layout, orders: int = 8) -> None:
        self.layout, self.orders = layout, orders
        self.axes = [axis for axis in layout.plane_axes if axis in layout.periodic]
        self.count = orders * len(self.axes)

    def __call__(self, grids: Sequence[tuple[int, ...]], device: torch.device) -> Tensor | None:
        """For the cells of all planes by rows, `(2, T, count)`, zero on axes that a plane lacks; None without any.

        Args:
            grids: one `(H, W)` per plane, H = 1 for a line.
            device: of the result.
        """
        if not self.axes:
            return None
        planes = []
        for plane, grid in zip(self.layout.planes, grids, strict=True):
            waves = torch.zeros(2, *grid, len(self.axes), self.orders, device=device)
            for place, axis in enumerate(plane):
                if axis in self.axes:
                    orders = torch.arange(1, self.orders + 1, device=device)
                    angles = pi * cell_centres(grid[1 - place], device)[:, None] * orders
                    along = torch.stack([angles.cos(), angles.sin()]).unsqueeze(1 + place)
                    waves[..., self.axes.index(axis), :] = along
            planes.append(waves.flatten(3).flatten(1, 2))
        return torch.cat(planes, dim=1)


class ClassCondition(nn.Embedding):
    """Embedding of class indices `(B,)`; index `classes` means "no condition".

    Args:
        classes: number of classes; 0 for "no condition" only.
        width: of the embeddings.
    """

    def __init__(self, classes: int, width: int) -> None:
        super().__init__(classes + 1, width)
        nn.init.normal_(self.weight, std=0.5)

    def none(self, n: int) -> Tensor:
        """`n` times "no condition"."""
        return torch.full((n,), self.num_embeddings - 1)


class VectorCondition(nn.Module):
    """Embedding of marked vectors `(B, F + 1)`: a vector and the mark 1, or zeros and the mark 0 for "no condition".

    Args:
        length: F.
        width: of the embeddings.
    """

    def __init__(self, length: int, width: int) -> None:
        super().__init__()
        self.length = length
        self.network = nn.Sequential(nn.Linear(length + 1, width), nn.SiLU(), nn.Linear(width, width))

    def none(self, n: int) -> Tensor:
        """`n` times "no condition"."""
        return torch.zeros(n, self.length + 1)

    def forward(self, given: Tensor) -> Tensor:
        """Map `(B, F + 1)` to `(B, width)`."""
        vectors: Tensor = self.network(given)
        return vectors


def marked(vectors: Tensor) -> Tensor:
    """Append the mark 1 to vectors: `(..., F)` to conditions `(..., F + 1)` of a `VectorCondition`."""
    return torch.cat([vectors, torch.ones_like(vectors[..., :1])], dim=-1)
