"""Ray tracing of coloured solids with baked lighting, and sampling of visible surface points."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from attrs import frozen

from ddmi_nerf.data.cars.solids import Array, Polytope, Solid, block

Colour = tuple[float, float, float]

AMBIENT, SKY, SUN = 0.44, 0.24, 0.4  # weights of ambient light, light from above, and sunlight
SUN_AT = np.array([0.35, -0.45, 0.82]) / np.linalg.norm([0.35, -0.45, 0.82])
LOWEST = -20.0  # least elevation of sampling lines, in degrees


@frozen(eq=False)
class Paint:
    """A region in which surfaces have another colour."""

    where: Solid
    colour: Colour


@frozen(eq=False)
class Part:
    """A solid, its colour, and colours of parts of its surface; later paints override earlier ones."""

    solid: Solid
    colour: Colour
    paints: Sequence[Paint] = ()

    def colours(self, points: Array) -> Array:
        """Unlit colours `(3, N)` at points on the surface."""
        result = np.repeat(np.array(self.colour, dtype=points.dtype)[:, None], points.shape[1], axis=1)
        for paint in self.paints:
            result[:, paint.where.contains(points)] = np.array(paint.colour, dtype=points.dtype)[:, None]
        return result


@frozen(eq=False)
class Hits:
    """First intersections of N rays."""

    colour: Array  # (N, 3), in [0, 1]; 0 for rays that miss
    opacity: Array  # (N,), 1 for rays that hit a surface, otherwise 0
    depth: Array  # (N,), from the origin, in units of the direction's length; infinity for rays that miss
    normal: Array  # (N, 3), outwards; 0 for rays that miss


@frozen(eq=False)
class Model:
    """Coloured solids in the cube [-1, 1]^3.

    Radiance is a function of position only; it is the same in all directions.
    """

    parts: Sequence[Part]
    reach: Array  # (3,), all parts lie within [-reach, reach]

    @property
    def room(self) -> Polytope:
        """The bounding box of all parts."""
        x, y, z = ((-float(end), float(end)) for end in self.reach)
        return block(x, y, z)

    def trace(self, origins: npt.ArrayLike, directions: npt.ArrayLike) -> Hits:
        """Intersect rays with the model.

        Args:
            origins: `(N, 3)`, or `(3,)` for rays of one origin, which is faster; outside the solids.
            directions: `(N, 3)`; results have their precision.
        """
        way = np.ascontiguousarray(np.asarray(directions).T)
        start = np.asarray(origins, dtype=way.dtype).reshape(-1, 3).T
        count = way.shape[1]
        near = np.flatnonzero(np.isfinite(self.room.meet(start, way)))
        start, way = start if start.shape[1] == 1 else start[:, near], way[:, near]
        first = np.full(len(near), np.inf, dtype=way.dtype)
        which = np.full(len(near), -1)
        for number, part in enumerate(self.parts):
            depth = part.solid.meet(start, way)
            nearer = depth < first
            first[nearer], which[nearer] = depth[nearer], number
        colour, normal = np.zeros((count, 3), dtype=way.dtype), np.zeros((count, 3), dtype=way.dtype)
        for number, part in enumerate(self.parts):
            seen = np.flatnonzero(which == number)
            if len(seen):
                points = start[:, seen if start.shape[1] > 1 else [0]] + first[seen] * way[:, seen]
                outwards = part.solid.normals(points)
                normal[near[seen]] = outwards.T
                colour[near[seen]] = (part.colours(points) * light(outwards)).T
        depth = np.full(count, np.inf, dtype=way.dtype)
        depth[near] = first
        return Hits(colour, np.isfinite(depth).astype(way.dtype), depth, normal)

    def surface(self, n: int, draw: np.random.Generator) -> tuple[Array, Array, Array]:
        """Random points on the surface that is visible from outside, from above and slightly below the horizon.

        Points are the first intersections of random lines, so they are uniform wherever nothing occludes the surface.

        Args:
            n: number of points.
            draw: source of randomness.

        Returns:
            Points `(n, 3)`, their colours `(n, 3)` in [0, 1] and normals `(n, 3)`.
        """
        found: list[tuple[Array, Array, Array]] = []
        while sum(len(points) for points, _, _ in found) < n:
            origins, directions = _lines(2 * n, float(np.linalg.norm(self.reach)), draw)
            hits = self.trace(origins, directions)
            seen = hits.opacity > 0
            points = origins[seen] + hits.depth[seen, None] * directions[seen]
            found.append((points, hits.colour[seen], hits.normal[seen]))
        points, colours, normals = (np.concatenate(arrays)[:n] for arrays in zip(*found, strict=True))
        return points, colours, normals


def light(normals: Array) -> Array:
    """Brightness `(N,)` of surfaces with normals `(3, N)`, independent of the viewing direction."""
    sun = np.maximum(SUN_AT.astype(normals.dtype) @ normals, 0)
    result: Array = AMBIENT + SKY * (0.5 + 0.5 * normals[2]) + SUN * sun
    return np.minimum(result, 1)


def _lines(n: int, ball: float, draw: np.random.Generator) -> tuple[Array, Array]:
    """Random lines through a ball around the origin, from above or slightly below the horizon."""
    height = draw.uniform(math.sin(math.radians(LOWEST)), 1, n)
    turn = draw.uniform(0, 2 * math.pi, n)
    flat = np.sqrt(1 - height**2)
    outwards = np.stack([flat * np.cos(turn), flat * np.sin(turn), height], axis=1)
    right = np.stack([-np.sin(turn), np.cos(turn), np.zeros(n)], axis=1)
    up = np.cross(outwards, right)
    radius, angle = ball * np.sqrt(draw.random(n)), draw.uniform(0, 2 * math.pi, n)
    aside = right * (radius * np.cos(angle))[:, None] + up * (radius * np.sin(angle))[:, None]
    return 2 * outwards + aside, -outwards
