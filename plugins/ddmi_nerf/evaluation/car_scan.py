"""Surfaces of a car scanned along parallel rays: from both sides, from above and from behind."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from attrs import define
from torch import Tensor

from ddmi_nerf.data.cars.parameters import ARCH, COLOURS, GLASS, LAMP, RIM, TAIL_LAMP, TRIM, TYRE
from ddmi_nerf.data.cars.solids import Array
from ddmi_nerf.data.cars.tracing import light
from ddmi_nerf.rendering.ray_marching import march
from ddmi_nerf.rendering.scene import Scene

SOLID = 0.9  # least opacity of a surface
SHADES = (0.9, 0.95, 1.0)  # brightness of the paints to compare with
PAINTS = (*COLOURS, "glass")
_OTHERS = (GLASS, TYRE, ARCH, RIM, TRIM, LAMP, TAIL_LAMP)  # plates count as white
LONG, WIDE, TALL = (torch.linspace(-end, end, count) for end, count in ((0.88, 64), (0.45, 72), (0.6, 96)))


@define(eq=False, slots=False)
class Scan:
    """A car in the cube, with its front at +x, scanned along parallel rays."""

    scene: Scene

    @cached_property
    def sides(self) -> Surface:
        """Both sides: rays along y on a lattice of x and z."""
        parts = []
        for side in (-1.0, 1.0):
            x, z = torch.meshgrid(LONG[::2], TALL, indexing="ij")
            parts.append(self._surface(torch.stack([x, torch.full_like(x, side), z], dim=-1), [0.0, -side, 0.0]))
        return Surface(*(np.concatenate(part) for part in zip(*(part.arrays for part in parts), strict=True)))

    @cached_property
    def top(self) -> Surface:
        """From above: rays down on a lattice of x and y."""
        x, y = torch.meshgrid(LONG, WIDE, indexing="ij")
        return self._surface(torch.stack([x, y, torch.ones_like(x)], dim=-1), [0.0, 0.0, -1.0])

    @cached_property
    def rear(self) -> Surface:
        """From behind: rays along x on a lattice of y and z."""
        y, z = torch.meshgrid(WIDE[::2], TALL[::2], indexing="ij")
        return self._surface(torch.stack([-torch.ones_like(y), y, z], dim=-1), [1.0, 0.0, 0.0])

    def _surface(self, starts: Tensor, way: list[float]) -> Surface:
        scene = self.scene
        origins = starts.flatten(0, 1).to(scene.background)
        directions = torch.tensor(way).to(origins).expand_as(origins)
        seen = march(scene.radiance, origins, directions, scene.background, step=scene.step, grid=scene.grid)
        solid = seen.opacity > SOLID
        points = origins[solid] + seen.depth[solid, None] * directions[solid]
        arrays = (points, seen.colour[solid] / 2 + 0.5, scene.normals(points))
        places, colours, normals = (part.double().cpu().numpy() for part in arrays)
        return Surface(places, nearest_paint(colours, normals))


@define(eq=False)
class Surface:
    """Points of a surface `(N, 3)`, and the index of the paint at each `(N,)`, see `nearest_paint`."""

    points: Array
    paints: npt.NDArray[np.int64]

    @property
    def arrays(self) -> tuple[Array, npt.NDArray[np.int64]]:
        """Points and paints."""
        return self.points, self.paints

    def where(self, chosen: npt.NDArray[np.bool_]) -> Surface:
        """The chosen points."""
        return Surface(self.points[chosen], self.paints[chosen])

    def share(self, paint: str) -> float:
        """Share of the points that have a paint of `PAINTS`; 0 if there are no points."""
        return float((self.paints == PAINTS.index(paint)).mean()) if len(self.paints) else 0.0

    def main(self, least: float = 0.0, besides: str = "") -> str:
        """The colour of most painted points.

        Args:
            least: of all points, the share that the colour must exceed; otherwise the result is empty.
            besides: a colour that does not count.
        """
        if not len(self.paints):
            return ""
        votes = np.bincount(self.paints, minlength=len(COLOURS))[: len(COLOURS)]
        if besides:
            votes[PAINTS.index(besides)] = 0
        most = int(votes.argmax())
        return PAINTS[most] if votes[most] > least * len(self.paints) else ""


def nearest_paint(colours: Array, normals: Array) -> npt.NDArray[np.int64]:
    """Index of the nearest paint of lit surfaces, by colours `(N, 3)` in [0, 1] and normals `(N, 3)`.

    The lighting of the cars is removed first. Indices are those of `COLOURS`; larger ones are other parts, of which the
    first is glass.
    """
    plain = colours / light(normals.T)[:, None]
    paints = np.array(list(COLOURS.values()))
    known = np.concatenate([*(shade * paints for shade in SHADES), np.array(_OTHERS)])
    found = np.square(plain[:, None] - known).sum(axis=2).argmin(axis=1)
    first = len(SHADES) * len(paints)
    numbers: npt.NDArray[np.int64] = np.where(found < first, found % len(paints), found - first + len(paints))
    return numbers
