"""Ray marching in equal steps, with skipping of empty cells and early termination."""

from __future__ import annotations

import torch
from attrs import frozen
from torch import Tensor

from ddmi_nerf.rendering.occupancy_grid import OccupancyGrid
from ddmi_nerf.rendering.radiance import DirectedRadiance, Radiance
from ddmi_nerf.rendering.rays import crossing
from ddmi_nerf.rendering.volume_rendering import absorbed, mean_depth, stopped_at

STEP = 0.02
STOP = 1e-3  # transmittance below which a ray terminates
RAYS = 32768  # in a chunk
GROUP = 8  # maximum number of intervals evaluated between two tests for termination


@frozen(eq=False)
class Seen:
    """Result of marched rays."""

    colour: Tensor  # (N, 3), over the background
    opacity: Tensor  # (N,), in [0, 1]
    depth: Tensor  # (N,), mean distance from the ray's origin at which light is absorbed; infinite if opacity is 0


@torch.no_grad()
def march(
    radiance: Radiance,
    origins: Tensor,
    directions: Tensor,
    background: Tensor,
    *,
    step: float = STEP,
    grid: OccupancyGrid | None = None,
    stop: float = STOP,
) -> Seen:
    """Render rays without gradients and in bounded memory.

    Args:
        radiance: the medium, in the cube [-1, 1]^3.
        origins: `(N, 3)`, of the rays.
        directions: `(N, 3)`, unit vectors.
        background: `(3,)`, in [-1, 1].
        step: length of the intervals, which start where a ray enters the cube; the last one may be shorter.
        grid: occupied cells; without it, all intervals are evaluated.
        stop: transmittance below which a ray terminates; 0 follows all rays to their end.
    """
    parts = [
        _Rays(radiance, *rays, step, grid, stop).seen(background)
        for rays in zip(torch.split(origins, RAYS), torch.split(directions, RAYS), strict=True)
    ]
    return Seen(*(torch.cat(part) for part in zip(*((p.colour, p.opacity, p.depth) for p in parts), strict=True)))


class _Rays:
    """A chunk of rays; groups of neighbouring intervals are stored in one list, ray by ray."""

    def __init__(
        self,
        radiance: Radiance,
        origins: Tensor,
        directions: Tensor,
        step: float,
        grid: OccupancyGrid | None,
        stop: float,
    ) -> None:
        self.radiance, self.origins, self.directions = radiance, origins, directions
        self.step, self.grid, self.stop = step, grid, stop
        self.near, self.far = crossing(origins, directions)
        # Half a group is at most one cell long, so a group lies within the neighbours of the cell at its middle.
        self.group = GROUP if grid is None else max(1, min(GROUP, int(4 / grid.cells / step)))
        self.columns = torch.arange(self.group, device=origins.device)
        ray, self.number = self._groups()
        self.counts = ray.bincount(minlength=len(origins))

    def _groups(self) -> tuple[Tensor, Tensor]:
        """Groups that may overlap an occupied cell: number of the ray, and position along it, `(G,)` each."""
        span = self.group * self.step
        first, last = self.near, self.far
        if self.grid is not None:
            first, last = crossing(self.origins, self.directions, *self.grid.bounds())
        crossed = (last > first).nonzero()[:, 0]
        start = ((first - self.near)[crossed] / span).floor().clamp_min(0)
        end = ((last.minimum(self.far) - self.near)[crossed] / span).ceil()
        most = int((end - start).max()) if len(crossed) else 0
        number = start[:, None] + torch.arange(most, device=start.device)
        kept = number < end[:, None]
        if self.grid is not None:
            middle = self.near[crossed, None] + (number + 0.5) * span
            ends = zip(self.origins[crossed].unbind(dim=1), self.directions[crossed].unbind(dim=1), strict=True)
            columns = [torch.addcmul(origin[:, None], way[:, None], middle) for origin, way in ends]
            kept &= self.grid.at_columns(columns, reach=True)
        row, column = kept.nonzero().unbind(dim=1)
        return crossed[row], number[row, column].long()

    def _points(self, rays: Tensor, distances: Tensor) -> Tensor:
        """Points `(A, C, 3)` at distances `(A, C)` along rays `(A,)`."""
        return torch.addcmul(self.origins[rays][:, None], self.directions[rays][:, None], distances[..., None])

    def _values(self, points: Tensor, rays: Tensor) -> tuple[Tensor, Tensor]:
        """Density and colour at points `(A, 3)` of rays `(A,)`."""
        if isinstance(self.radiance, DirectedRadiance):
            return self.radiance.seen(points, self.directions[rays])
        return self.radiance(points)

    def seen(self, background: Tensor) -> Seen:
        """March all rays, one group at a time."""
        colour = self.origins.new_zeros(len(self.origins), 3)
        total, left = colour[:, 0].clone(), torch.ones_like(colour[:, 0])
        starts = self.counts.cumsum(0) - self.counts
        alive, done = self.counts.nonzero()[:, 0], 0
        while len(alive):
            number = self.number[starts[alive] + done, None] * self.group + self.columns
            begin = self.near[alive, None] + number * self.step
            length = (self.far[alive, None] - begin).clamp(0, self.step)
            points = self._points(alive, begin + length / 2)
            full = length > 0 if self.grid is None else self.grid.at(points) & (length > 0)
            chosen = full.view(-1).nonzero()[:, 0]
            row = alive.index_select(0, torch.div(chosen, self.group, rounding_mode="floor"))
            density, shown = self._values(points.view(-1, 3).index_select(0, chosen), row)
            thickness = torch.zeros_like(length)
            thickness.view(-1)[chosen] = density * length.view(-1)[chosen]
            weights, passed = absorbed(thickness, torch.ones_like(thickness))
            weights *= left[alive, None]
            colour.index_add_(0, row, weights.view(-1, 1)[chosen] * shown)
            total[alive] += (weights * torch.addcmul(begin, length, stopped_at(thickness))).sum(dim=1)
            left[alive] *= passed
            done += 1
            alive = alive[(left[alive] > self.stop) & (self.counts[alive] > done)]
        opacity = 1 - left
        return Seen(colour + left[:, None] * background, opacity, mean_depth(total, opacity))
