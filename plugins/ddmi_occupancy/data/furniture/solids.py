"""Boxes and cones, and unions of them: signed distance, inside tests, bounds; boards, posts and discs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from attrs import evolve, field, frozen

from ddmi_occupancy.geometry.mesh import Array, Marks


def _array(value: Any) -> Array:
    return np.asarray(value, dtype=np.float64)


@frozen(eq=False)
class Solid:
    """A box or a truncated cone in its own frame.

    Args:
        cone: whether it is a cone around its second axis (a cylinder if both radii are equal) or a box.
        size: `(3,)`: half lengths of a box; lower radius, half height and upper radius of a cone.
        centre: `(3,)`.
        frame: `(3, 3)`, whose columns are the axes of the solid; it may shear and stretch.
        rounding: radius of the edges, at most the smallest half length; 0 for cones that are not cylinders.
    """

    cone: bool
    size: Array = field(converter=_array)
    centre: Array = field(converter=_array)
    frame: Array = field(factory=lambda: np.eye(3))
    rounding: float = 0.0

    def distance(self, points: Array) -> Array:
        """Signed distances `(P,)` of points `(P, 3)`, in the frame of the solid; negative inside.

        The sign is exact; the magnitude is exact for boxes and cylinders whose frame is a rotation.
        """
        own = (points - self.centre) @ np.linalg.inv(self.frame).T
        if self.cone:
            foot, half, head = self.size
            radius = (foot + head) / 2 + own[:, 1] * (head - foot) / (2 * half)
            steep = 2 * half / np.hypot(2 * half, head - foot)
            side = (np.hypot(own[:, 0], own[:, 2]) - radius) * steep
            beyond = np.stack([side, np.abs(own[:, 1]) - half], axis=1) + self.rounding
        else:
            beyond = np.abs(own) - (self.size - self.rounding)
        outside = np.sqrt((np.maximum(beyond, 0) ** 2).sum(axis=1))
        return np.asarray(outside + np.minimum(beyond.max(axis=1), 0) - self.rounding)

    def bounds(self) -> tuple[Array, Array]:
        """Lowest and highest coordinates, `(3,)` each."""
        length = np.linalg.norm(self.frame, axis=1)
        if not self.cone:
            reach = np.abs(self.frame) @ (self.size - self.rounding) + self.rounding * length
            return self.centre - reach, self.centre + reach
        foot, half, head = self.size - self.rounding
        across, along = np.hypot(self.frame[:, 0], self.frame[:, 2]), self.frame[:, 1] * half
        high = np.maximum(along + head * across, foot * across - along) + self.rounding * length
        low = np.maximum(head * across - along, along + foot * across) + self.rounding * length
        return self.centre - low, self.centre + high


def bounds(solids: Sequence[Solid]) -> tuple[Array, Array]:
    """Lowest and highest coordinates of a union, `(3,)` each."""
    low, high = zip(*(solid.bounds() for solid in solids), strict=True)
    return np.min(low, axis=0), np.max(high, axis=0)


def normalised(solids: Sequence[Solid], extent: float) -> list[Solid]:
    """The union with its bounding box centred and its longest side scaled to [-extent, extent]."""
    low, high = bounds(solids)
    scale = 2 * extent / (high - low).max()
    return [
        evolve(
            solid,
            size=solid.size * scale,
            centre=(solid.centre - (low + high) / 2) * scale,
            rounding=solid.rounding * scale,
        )
        for solid in solids
    ]


def inside(solids: Sequence[Solid], points: Array) -> Marks:
    """Whether points `(P, 3)` are inside a union: `(P,)`."""
    found = np.zeros(len(points), dtype=np.bool_)
    for solid in solids:
        near = np.flatnonzero(within(points, *solid.bounds()))
        found[near] |= solid.distance(points[near]) < 0
    return found


def distance(solids: Sequence[Solid], points: Array) -> Array:
    """Signed distances `(P,)` of points `(P, 3)` to a union: minima of `Solid.distance`."""
    return np.asarray(np.min([solid.distance(points) for solid in solids], axis=0))


def within(points: Array, low: Array, high: Array) -> Marks:
    """Whether points `(P, 3)` are in the closed box between two corners `(3,)`: `(P,)`."""
    found = (points[:, 0] >= low[0]) & (points[:, 0] <= high[0])
    for axis in (1, 2):
        found &= (points[:, axis] >= low[axis]) & (points[:, axis] <= high[axis])
    return np.asarray(found)


def board(
    x: tuple[float, float], y: tuple[float, float], z: tuple[float, float], rounding: float = 0.0, lean: float = 0.0
) -> Solid:
    """A box from its edges.

    Args:
        x: left and right.
        y: lower and upper.
        z: back and front, at the lower edge.
        rounding: radius of the edges, at most half the smallest side.
        lean: backward shift per unit of height.
    """
    low, high = np.array([x[0], y[0], z[0]]), np.array([x[1], y[1], z[1]])
    half = (high - low) / 2
    frame = np.eye(3)
    frame[2, 1] = -lean
    centre = (low + high) / 2 - np.array([0.0, 0.0, lean * half[1]])
    return Solid(False, half, centre, frame, min(rounding, half.min() * 0.999))


def post(
    foot: tuple[float, float], head: tuple[float, float], y: tuple[float, float], form: str, width: float
) -> Solid:
    """An upright post with level ends.

    Args:
        foot: x and z of the centre of its lower end.
        head: x and z of the centre of its upper end.
        y: lower and upper end.
        form: `square`, `round`, or `tapered`, which is round and wider at the upper end.
        width: at the lower end.
    """
    height = y[1] - y[0]
    frame = np.eye(3)
    frame[0, 1], frame[2, 1] = (head[0] - foot[0]) / height, (head[1] - foot[1]) / height
    centre = [(foot[0] + head[0]) / 2, (y[0] + y[1]) / 2, (foot[1] + head[1]) / 2]
    if form == "square":
        return Solid(False, [width / 2, height / 2, width / 2], centre, frame)
    upper = 1.5 * width if form == "tapered" else width
    return Solid(True, [width / 2, height / 2, upper / 2], centre, frame)


def disc(centre: tuple[float, float, float], x: float, thickness: float, z: float, rounding: float = 0.0) -> Solid:
    """A horizontal round or oval board with half axes `x` and `z`, and its thickness along y."""
    frame = np.diag([1.0, 1.0, z / x])
    return Solid(True, [x, thickness / 2, x], centre, frame, min(rounding, 0.499 * thickness))


def upright_disc(centre: tuple[float, float, float], x: float, y: float, thickness: float, lean: float = 0.0) -> Solid:
    """A vertical round or oval board with half axes `x` and `y`, and its thickness along z."""
    frame = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, y / x], [0.0, 1.0, -lean * y / x]])
    return Solid(True, [x, thickness / 2, x], centre, frame)


def beam(start: tuple[float, float], end: tuple[float, float], y: float, width: float) -> Solid:
    """A horizontal square beam between two places (x, z), with its axis at height y."""
    along = np.array([end[0] - start[0], 0.0, end[1] - start[1]])
    length = float(np.linalg.norm(along))
    along /= length
    frame = np.stack([along, [0.0, 1.0, 0.0], np.cross(along, [0.0, 1.0, 0.0])], axis=1)
    return Solid(
        False, [length / 2, width / 2, width / 2], [(start[0] + end[0]) / 2, y, (start[1] + end[1]) / 2], frame
    )
