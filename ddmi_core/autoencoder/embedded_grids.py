"""Encoder of grids for layouts with an embedding."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ddmi_core.autoencoder.config import EncoderConfig
from ddmi_core.autoencoder.encoders import PlaneStagesEncoder
from ddmi_core.fields.coordinates import cell_axes, lattice_points
from ddmi_core.fields.interpolate import axis_taps
from ddmi_core.fields.layout import Layout
from ddmi_core.fields.planes import Planes

LEAST = 0.01  # weight of the points around a cell, below which its mean fades to zero


class EmbeddedGridEncoder(PlaneStagesEncoder):
    """Encoder of grids for layouts with an embedding: cells are spread over the planes, on which the convolutions act.

    Each cell of the grid is a point in the space of the planes. A network on points maps its values and its place to
    features, so that points that coincide on a plane can be told apart. A cell of a plane receives the mean over the
    points around it, with the weights of the embedding. The planes have about as many cells together as the grid.

    Args:
        grid: function from a signal to its grid `(B, channels, *grid)`, slowest axis first.
        channels: channels of that grid.
        layout: with an embedding; its axes are the grid's axes.
        latent_channels: C of the latent.
        config: widths of the stages on planes, and blocks per stage.

    Raises:
        ValueError: if the layout has no embedding.

    Example:
        >>> from ddmi_core.fields.layout import Embedding
        >>> circle = Embedding(axes=("x", "y"), function="ddmi_core.fields.embeddings:circle")
        >>> layout = Layout(axes=("angle",), planes=(("x",), ("y",)), embedding=circle)
        >>> encoder = EmbeddedGridEncoder(lambda signal: signal, 1, layout, 4, EncoderConfig(widths=(8, 16)))
        >>> [tuple(plane.shape) for plane in encoder(torch.zeros(2, 1, 64)).mean]
        [(2, 4, 16), (2, 4, 16)]
    """

    def __init__(
        self,
        grid: Callable[[Any], Tensor],
        channels: int,
        layout: Layout,
        latent_channels: int,
        config: EncoderConfig,
    ) -> None:
        if layout.embedding is None:
            raise ValueError("EmbeddedGridEncoder requires a layout with an embedding. Fix: use GridEncoder")
        first = config.widths[0]
        super().__init__(first + 1, layout, latent_channels, config)
        self.grid, self.step = grid, 2 ** (len(config.widths) - 1)
        self.points = nn.Sequential(
            nn.Linear(channels + len(layout.plane_axes), 2 * first), nn.SiLU(), nn.Linear(2 * first, first)
        )

    def planes(self, signal: Any) -> Planes:
        """Mean features of the cells of the grid around each cell of a plane, and whether there are any."""
        grid = self.grid(signal)
        centres = lattice_points(cell_axes(grid.shape[2:], grid.device))
        places, weights = self.layout.in_planes(centres), self.layout.plane_weights(centres)
        if weights is None:
            weights = torch.ones_like(centres[:, :1]).expand(-1, len(self.layout.planes))
        values = torch.cat([grid.flatten(2).mT, places.to(grid).expand(len(grid), -1, -1)], dim=-1)
        features = F.pad(self.points(values), (0, 1), value=1.0)
        cells = plane_cells(self.layout, len(centres), self.step)
        return Planes(
            spread(features, places[:, list(columns)], weight, (cells,) * len(columns), wraps)
            for columns, weight, wraps in zip(
                self.layout.columns, weights.unbind(-1), self.layout.plane_wraps, strict=True
            )
        )


def spread(rows: Tensor, places: Tensor, weights: Tensor, cells: Sequence[int], wraps: Sequence[bool]) -> Tensor:
    """Weighted means of points over the cells around them, as for linear interpolation; zero where no point is.

    Args:
        rows: features `(B, M, C)`.
        places: coordinates `(M, d)` on the plane.
        weights: `(M,)`, of the points.
        cells: cells along the plane's axes, slowest first.
        wraps: whether each axis is periodic, in the order of the columns of `places`.

    Returns:
        `(B, C, *cells)`
    """
    corners = [(torch.zeros(len(places), dtype=torch.long, device=places.device), weights)]
    for column, length in zip(reversed(range(len(cells))), cells, strict=True):
        taps = axis_taps(places[:, column], length, wraps[column])
        sides = ((taps.low, 1 - taps.weight), (taps.high, taps.weight))
        corners = [(index * length + side, part * share) for index, part in corners for side, share in sides]
    sums, totals = rows.new_zeros(len(rows), prod(cells), rows.shape[2]), places.new_zeros(prod(cells), 1)
    for index, part in corners:
        sums = sums.index_add(1, index, rows * part[:, None].to(rows.dtype))
        totals = totals.index_add(0, index, part[:, None])
    return (sums / totals.clamp(min=LEAST)).mT.reshape(len(rows), rows.shape[2], *cells)


def plane_cells(layout: Layout, cells: int, step: int = 1) -> int:
    """Cells along each axis of planes that have about `cells` cells together; a multiple of `step`.

    With an embedding, points are assumed to fill two thirds of a plane of two axes: those of a sphere fill discs.

    Example:
        >>> plane_cells(Layout(axes=("x", "y", "z"), planes=(("x", "y"), ("y", "z"), ("x", "z"))), 32 * 64, 4)
        28
    """
    most = max(map(len, layout.planes))
    share = 2 / 3 if layout.embedding is not None and most > 1 else 1.0
    each = cells / share / sum(len(plane) == most for plane in layout.planes)
    return step * max(1, round(float(each ** (1 / most)) / step))
