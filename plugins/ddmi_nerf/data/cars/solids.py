"""Convex solids with exact ray intersections (polytopes, cylinders, ellipsoids), and construction of polytopes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from attrs import field, frozen

Array = npt.NDArray[Any]  # floating
Marks = npt.NDArray[np.bool_]
Span = tuple[float, float]
Face = tuple[Array, float]


def _array(values: Any) -> npt.NDArray[np.float64]:
    return np.asarray(values, dtype=np.float64)


class Solid(ABC):
    """A convex solid. Coordinates are the first axis: points and directions are `(3, N)`."""

    @abstractmethod
    def contains(self, points: Array) -> Marks:
        """Whether points are inside, `(N,)`."""

    @abstractmethod
    def meet(self, origins: Array, directions: Array) -> Array:
        """Distances `(N,)` at which rays enter the solid, in units of the direction's length; infinity if they miss.

        Args:
            origins: `(3, N)`, or `(3, 1)` for rays of one origin, which is faster; outside the solid.
            directions: `(3, N)`.
        """

    @abstractmethod
    def normals(self, points: Array) -> Array:
        """Outward unit normals `(3, N)` at points on the surface."""

    @abstractmethod
    def scaled(self, factor: float, move: Array) -> Solid:
        """The solid, translated by `move` `(3,)` and then scaled."""


@frozen(eq=False)
class Polytope(Solid):
    """The points p with `planes @ p <= offsets`."""

    planes: Array = field(converter=_array)  # (M, 3), unit vectors
    offsets: Array = field(converter=_array)  # (M,)

    def contains(self, points: Array) -> Marks:
        """Whether points are inside."""
        heights: Array = self.planes.astype(points.dtype) @ points
        result: Marks = np.all(heights <= self.offsets[:, None], axis=0)
        return result

    def meet(self, origins: Array, directions: Array) -> Array:
        """Distances at which rays enter.

        With u = 1 / t, the ray meets each plane at `u = normal . direction / gap`, which is linear in the direction. It
        enters at the least u of the planes that it starts outside of, and leaves at the greatest u of the others.
        """
        planes = self.planes.astype(directions.dtype)
        gaps = self.offsets[:, None].astype(directions.dtype) - planes @ origins
        gaps[gaps == 0] = 1e-12  # an origin in the plane of a face counts as inside it
        if origins.shape[1] == 1:
            outside = gaps[:, 0] < 0
            slopes = planes / gaps
            enter = (slopes[outside] @ directions).min(axis=0, initial=np.inf)
            leave = (slopes[~outside] @ directions).max(axis=0, initial=0)
        else:
            met = (planes @ directions) / gaps
            enter = np.where(gaps < 0, met, np.inf).min(axis=0)
            leave = np.where(gaps < 0, 0, met).max(axis=0, initial=0)
        hit = (enter > leave) & (enter < np.inf)
        result: Array = np.divide(1, enter, out=np.full_like(enter, np.inf), where=hit)
        return result

    def normals(self, points: Array) -> Array:
        """Normals of the faces that the points lie on."""
        excess = self.planes.astype(points.dtype) @ points - self.offsets[:, None].astype(points.dtype)
        result: Array = self.planes.T.astype(points.dtype)[:, excess.argmax(axis=0)]
        return result

    def scaled(self, factor: float, move: Array) -> Polytope:
        """The polytope, translated and scaled."""
        return Polytope(self.planes, (self.offsets + self.planes @ move) * factor)


@frozen(eq=False)
class Cylinder(Solid):
    """A cylinder along the x axis (0), the y axis (1) or the z axis (2)."""

    centre: Array = field(converter=_array)  # (3,)
    radius: float
    half: float  # half of its length
    axis: int = 1

    def contains(self, points: Array) -> Marks:
        """Whether points are inside."""
        along, across = self._parts(points - self.centre[:, None].astype(points.dtype))
        result: Marks = (_dot(across, across) <= self.radius**2) & (np.abs(along) <= self.half)
        return result

    def meet(self, origins: Array, directions: Array) -> Array:
        """Distances at which rays enter, through the curved side or a flat end."""
        along, across = self._parts(origins - self.centre[:, None].astype(directions.dtype))
        forward, sideways = self._parts(directions)
        with np.errstate(divide="ignore", invalid="ignore"):
            low, high = _between_roots(
                _dot(sideways, sideways), _dot(across, sideways), _dot(across, across) - self.radius**2
            )
            one, other = (-self.half - along) / forward, (self.half - along) / forward
        enter = np.maximum(low, np.minimum(one, other))
        leave = np.minimum(high, np.maximum(one, other))
        return np.where((enter <= leave) & (enter > 0), enter, np.inf).astype(directions.dtype)

    def normals(self, points: Array) -> Array:
        """Normals of the curved side or of the flat end, whichever is nearer."""
        along, across = self._parts(points - self.centre[:, None].astype(points.dtype))
        radii = np.sqrt(_dot(across, across))
        end = np.abs(along) - self.half > radii - self.radius
        result = np.insert(across / np.maximum(radii, 1e-9), self.axis, 0, axis=0)
        result[:, end] = 0
        result[self.axis, end] = np.sign(along[end])
        return result

    def scaled(self, factor: float, move: Array) -> Cylinder:
        """The cylinder, translated and scaled."""
        return Cylinder((self.centre + move) * factor, self.radius * factor, self.half * factor, self.axis)

    def _parts(self, vectors: Array) -> tuple[Array, Array]:
        """Components along the axis `(N,)`, and across it `(2, N)`."""
        return vectors[self.axis], vectors[[i for i in range(3) if i != self.axis]]


@frozen(eq=False)
class Ellipsoid(Solid):
    """An ellipsoid with its axes along x, y and z."""

    centre: Array = field(converter=_array)  # (3,)
    radii: Array = field(converter=_array)  # (3,)

    def contains(self, points: Array) -> Marks:
        """Whether points are inside."""
        local = self._local(points)
        result: Marks = _dot(local, local) <= 1
        return result

    def meet(self, origins: Array, directions: Array) -> Array:
        """Distances at which rays enter."""
        start, way = self._local(origins), directions / self.radii[:, None].astype(directions.dtype)
        low, _ = _between_roots(_dot(way, way), _dot(start, way), _dot(start, start) - 1)
        return np.where(low > 0, low, np.inf).astype(directions.dtype)

    def normals(self, points: Array) -> Array:
        """Normals from the gradient of the implicit function."""
        slopes = self._local(points) / self.radii[:, None].astype(points.dtype)
        result: Array = slopes / np.linalg.norm(slopes, axis=0)
        return result

    def scaled(self, factor: float, move: Array) -> Ellipsoid:
        """The ellipsoid, translated and scaled."""
        return Ellipsoid((self.centre + move) * factor, self.radii * factor)

    def _local(self, points: Array) -> Array:
        """Points in coordinates in which the ellipsoid is the unit ball."""
        dtype = points.dtype
        result: Array = (points - self.centre[:, None].astype(dtype)) / self.radii[:, None].astype(dtype)
        return result


def _between_roots(a: Array, b: Array, c: Array) -> tuple[Array, Array]:
    """The interval in which `a t^2 + 2 b t + c` is negative, for a >= 0; (infinity, -infinity) if it is empty."""
    inside = b * b - a * c
    root = np.sqrt(np.maximum(inside, 0))
    with np.errstate(divide="ignore", invalid="ignore"):
        low, high = (-b - root) / a, (root - b) / a
    never = (inside < 0) | ((a == 0) & (c > 0))
    always = (a == 0) & (c <= 0)
    low[never], high[never] = np.inf, -np.inf
    low[always], high[always] = -np.inf, np.inf
    return low, high


def _dot(first: Array, second: Array) -> Array:
    """Dot products of vectors `(D, N)`; much faster than a sum over the first axis."""
    result: Array = first[0] * second[0]
    for one, other in zip(first[1:], second[1:], strict=True):
        result += one * other
    return result


def block(x: Span | None = None, y: Span | None = None, z: Span | None = None) -> Polytope:
    """An axis-aligned box; an axis without limits is unbounded."""
    faces: list[Face] = []
    for axis, span in zip(np.eye(3), (x, y, z), strict=True):
        if span is not None:
            faces += [(-axis, -span[0]), (axis, span[1])]
    return _polytope(faces)


def profile(outline: Sequence[Span], margin: float = 0.0) -> Polytope:
    """The infinite prism along y over a convex outline.

    Args:
        outline: corners (x, z) of a convex polygon, anticlockwise with x to the right and z up.
        margin: distance by which its edges are moved inwards.
    """
    faces = [_edge(*pair) for pair in pairwise([*outline, outline[0]])]
    return _polytope([(plane, offset - margin) for plane, offset in faces])


def flanks(half: float, lean: float = 0.0, level: float = 0.0) -> Polytope:
    """The space between two side planes that lean towards each other.

    Args:
        half: half of the width.
        lean: decrease of the half width for each unit of height.
        level: height at which the half width is `half`.
    """
    length = np.hypot(1.0, lean)
    return _polytope([(np.array([0.0, side, lean]) / length, (half + lean * level) / length) for side in (-1.0, 1.0)])


def bevelled(outer: Polytope, sides: Polytope, bevel: float) -> Polytope:
    """Intersection of a profile and its flanks, with bevelled edges.

    Args:
        outer: the profile, faces in order.
        sides: the flanks.
        bevel: depth of the bevels, at right angles to the cut.
    """
    around = list(zip(outer.planes, outer.offsets, strict=True))
    side_faces = list(zip(sides.planes, sides.offsets, strict=True))
    cuts = [_cut(first, second, bevel) for first, second in pairwise([*around, around[0]])]
    cuts += [_cut(face, side, bevel) for face in around for side in side_faces]
    return _polytope([*around, *side_faces, *cuts])


def both(first: Polytope, *others: Polytope) -> Polytope:
    """Intersection of polytopes."""
    every = [first, *others]
    return Polytope(np.concatenate([part.planes for part in every]), np.concatenate([part.offsets for part in every]))


def _polytope(faces: Sequence[Face]) -> Polytope:
    return Polytope([plane for plane, _ in faces], [offset for _, offset in faces])


def _edge(start: Span, end: Span) -> Face:
    plane = np.array([end[1] - start[1], 0.0, start[0] - end[0]])
    plane /= np.linalg.norm(plane)
    return plane, float(plane @ [start[0], 0.0, start[1]])


def _cut(first: Face, second: Face, bevel: float) -> Face:
    """The plane that cuts off the edge between two faces."""
    total = first[0] + second[0]
    length = float(np.linalg.norm(total))
    return total / length, (first[1] + second[1]) / length - bevel
