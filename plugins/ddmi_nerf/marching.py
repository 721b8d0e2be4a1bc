"""Rays marched in equal steps through a medium, by the steps in occupied cells alone, until nothing more is seen."""

from __future__ import annotations

from math import ceil

import torch
from attrs import frozen
from torch import Tensor

from ddmi_nerf.empty_space import OccupancyGrid
from ddmi_nerf.radiance import Radiance
from ddmi_nerf.rays import crossing
from ddmi_nerf.volume import absorbed, mean_depth, stopped_at

STEP = 0.02
STOP = 1e-3  # transmittance below which a ray is not followed
RAYS = 8192  # at once
ROUND = 8  # steps of a ray that are evaluated before it is asked whether it goes on


@frozen(eq=False)
class Seen:
    """What rays show."""

    colour: Tensor  # (N, 3), over the background
    opacity: Tensor  # (N,), in [0, 1]
    depth: Tensor  # (N,), mean distance from the ray's origin at which it is stopped; infinite where nothing is seen


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
    """What rays show, without gradients and in bounded memory.

    Args:
        radiance: the medium, in the cube [-1, 1]^3.
        origins: `(N, 3)`, where rays begin.
        directions: `(N, 3)`, of length one.
        background: `(3,)`, in [-1, 1].
        step: length of the intervals, of which the first begins where a ray enters the cube; the last may be shorter.
        grid: where the medium is; without it, all intervals are evaluated.
        stop: transmittance below which a ray is not followed; 0 follows all rays to their end.
    """
    parts = [
        _Rays(radiance, *rays, step, grid, stop).seen(background)
        for rays in zip(torch.split(origins, RAYS), torch.split(directions, RAYS), strict=True)
    ]
    return Seen(*(torch.cat(part) for part in zip(*((p.colour, p.opacity, p.depth) for p in parts), strict=True)))


class _Rays:
    """Some rays, and their intervals as one list: a ray after the other, each from front to back."""

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
        self.step, self.stop = step, stop
        self.near, self.far = crossing(origins, directions)
        self.ray, self.number = self._every() if grid is None else self._occupied(grid)
        self.counts = self.ray.bincount(minlength=len(origins))

    def _every(self) -> tuple[Tensor, Tensor]:
        """All intervals: numbers of the ray and of the interval along it, `(M,)` each."""
        steps = ((self.far - self.near) / self.step).ceil().clamp_min(0).long()
        ray = torch.repeat_interleave(steps)
        return ray, torch.arange(len(ray), device=ray.device) - (steps.cumsum(0) - steps)[ray]

    def _occupied(self, grid: OccupancyGrid) -> tuple[Tensor, Tensor]:
        """Intervals with their middles in occupied cells; groups of them that are far from all of those go first."""
        low, high = grid.bounds()
        first, last = crossing(self.origins, self.directions, low, high)
        # Half of a group is no longer than a cell, so that nothing of it leaves the neighbours of its middle.
        group = max(1, int(4 / grid.cells / self.step))
        span = group * self.step
        crossed = (last > first).nonzero()[:, 0]
        start = ((first - self.near)[crossed] / span).floor().clamp_min(0).long()
        most = ceil(float(((last - self.near)[crossed] / span - start).max())) if len(crossed) else 0
        groups = start[:, None] + torch.arange(most, device=start.device)
        middle = self.near[crossed, None] + (groups + 0.5) * span
        points = self._points(crossed[:, None], middle)
        kept = (grid.at(points, reach=True) & (middle - span / 2 < last[crossed, None])).nonzero()
        ray = crossed[kept[:, 0], None].expand(-1, group)
        number = groups[kept[:, 0], kept[:, 1], None] * group + torch.arange(group, device=ray.device)
        begin, length = self._interval(ray, number)
        full = grid.at(self._points(ray, begin + length / 2)) & (length > 0)
        return ray[full], number[full]

    def _interval(self, ray: Tensor, number: Tensor) -> tuple[Tensor, Tensor]:
        """Where intervals begin, and how long they are."""
        begin = self.near[ray] + number * self.step
        return begin, (self.far[ray] - begin).clamp(0, self.step)

    def _points(self, ray: Tensor, distance: Tensor) -> Tensor:
        return torch.addcmul(self.origins[ray], self.directions[ray], distance[..., None])

    def seen(self, background: Tensor) -> Seen:
        """Follow all rays, some intervals at a time."""
        colour = self.origins.new_zeros(len(self.origins), 3)
        total, left = colour[:, 0].clone(), torch.ones_like(colour[:, 0])
        starts = self.counts.cumsum(0) - self.counts
        alive, done = self.counts.nonzero()[:, 0], 0
        while len(alive):
            columns = done + torch.arange(ROUND, device=alive.device)
            valid = columns < self.counts[alive, None]
            index = (starts[alive, None] + columns)[valid]
            ray = self.ray[index]
            begin, length = self._interval(ray, self.number[index])
            density, shown = self.radiance(self._points(ray, begin + length / 2))
            thickness = begin.new_zeros(valid.shape)
            thickness[valid] = density * length
            weights, passed = absorbed(thickness, torch.ones_like(thickness))
            weight = (weights * left[alive, None])[valid]
            colour.index_add_(0, ray, weight[:, None] * shown)
            total.index_add_(0, ray, weight * (begin + length * stopped_at(density * length)))
            left[alive] *= passed
            done += ROUND
            alive = alive[(left[alive] > self.stop) & (self.counts[alive] > done)]
        opacity = 1 - left
        return Seen(colour + left[:, None] * background, opacity, mean_depth(total, opacity))
