"""Simple solids and their unions: what is inside, how far the surface is, and points spread over it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from attrs import evolve, field, frozen

Array = npt.NDArray[np.float64]
Marks = npt.NDArray[np.bool_]


def _array(value: Any) -> Array:
    return np.asarray(value, dtype=np.float64)


@frozen(eq=False)
class Solid:
    """A box or a cone in a frame of its own.

    Args:
        cone: whether it is a cone (a cylinder, where both radii agree) about its second axis, or a box.
        size: `(3,)`: half lengths of a box; radius at the foot, half the height, and radius at the head of a cone.
        centre: `(3,)`.
        frame: `(3, 3)`, its columns are the solid's own axes; a shear or a stretch is allowed.
        rounding: radius of its edges, at most the smallest half length; 0 for cones that are no cylinders.
    """

    cone: bool
    size: Array = field(converter=_array)
    centre: Array = field(converter=_array)
    frame: Array = field(factory=lambda: np.eye(3))
    rounding: float = 0.0

    def distance(self, points: Array) -> Array:
        """Signed distances `(P,)` of points `(P, 3)`, in the solid's own frame; negative inside.

        The sign is exact. The size is exact for boxes and cylinders whose frame is a rotation.
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
    """The union with its bounding box centred, and the longest side from `-extent` to `extent`."""
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
    """Signed distances `(P,)` of points `(P, 3)` to a union, with the sizes that `Solid.distance` gives."""
    return np.asarray(np.min([solid.distance(points) for solid in solids], axis=0))


def within(points: Array, low: Array, high: Array) -> Marks:
    """Whether points `(P, 3)` lie in a box between two corners `(3,)`, its faces included: `(P,)`."""
    found = (points[:, 0] >= low[0]) & (points[:, 0] <= high[0])
    for axis in (1, 2):
        found &= (points[:, axis] >= low[axis]) & (points[:, axis] <= high[axis])
    return np.asarray(found)
