"""Triangulation of polygons: fans of convex ones, and ear clipping of others."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ddmi_core.errors import DataError
from ddmi_occupancy.geometry.mesh import Array, TriangleMesh

Index = npt.NDArray[np.int64]


def triangulated(vertices: Array, sizes: Index, corners: Index, name: str) -> TriangleMesh:
    """Polygons as triangles of the same orientation; those with fewer than three corners are dropped.

    Args:
        vertices: `(V, 3)`.
        sizes: corners of each polygon, `(P,)`.
        corners: vertices of all polygons one after the other, `(sizes.sum(),)`.
        name: for messages.

    Raises:
        DataError: if a polygon names a vertex that is not there.
    """
    wrong = corners[(corners < 0) | (corners >= len(vertices))]
    if len(wrong):
        raise DataError(f"{name}: a face names vertex {wrong[0]}, but there are {len(vertices)}; export it again")
    starts = np.cumsum(sizes) - sizes
    faces = np.zeros((int((sizes - 2).clip(min=0).sum()), 3), dtype=np.int64)
    first = np.cumsum((sizes - 2).clip(min=0)) - (sizes - 2).clip(min=0)  # first triangle of each polygon
    for size in np.unique(sizes[sizes > 2]):
        chosen = np.flatnonzero(sizes == size)
        polygons = corners[starts[chosen][:, None] + np.arange(size)]
        rows = first[chosen][:, None] + np.arange(size - 2)
        fans = [np.stack([polygons[:, 0], polygons[:, k], polygons[:, k + 1]], axis=1) for k in range(1, size - 1)]
        faces[rows] = np.stack(fans, axis=1)
        if size > 3:
            for number in np.flatnonzero(_folded(vertices[polygons])):
                faces[rows[number]] = polygons[number][_ears(vertices[polygons[number]])]
    return TriangleMesh(vertices, faces)


def _folded(places: Array) -> npt.NDArray[np.bool_]:
    """Whether fans of polygons `(P, n, 3)` have triangles of opposite orientation: `(P,)`."""
    sides = places[:, 1:] - places[:, :1]
    across = np.cross(sides[:, :-1], sides[:, 1:])
    return np.asarray((np.einsum("pkc,pc->pk", across, across.sum(axis=1)) < 0).any(axis=1))


def _ears(places: Array) -> Index:
    """Triangles `(n - 2, 3)` of a simple polygon `(n, 3)`, by ear clipping in the plane of its mean normal."""
    normal = np.cross(places, np.roll(places, -1, axis=0)).sum(axis=0)
    axis = int(np.abs(normal).argmax())
    flat = places[:, [(axis + 1) % 3, (axis + 2) % 3]] * [1.0 if normal[axis] > 0 else -1.0, 1.0]
    ring = list(range(len(places)))
    found = []

    def turn(a: int, b: int, c: int) -> float:
        u, v = flat[b] - flat[a], flat[c] - flat[a]
        return float(u[0] * v[1] - u[1] * v[0])

    while len(ring) > 3:
        for k, b in enumerate(ring):
            a, c = ring[k - 1], ring[(k + 1) % len(ring)]
            others = [p for p in ring if p not in (a, b, c)]
            if turn(a, b, c) > 0 and not any(min(turn(a, b, p), turn(b, c, p), turn(c, a, p)) >= 0 for p in others):
                break
        else:
            k, a, b, c = 1, *ring[:3]  # not simple: any triangle
        found.append((a, b, c))
        del ring[k]
    return np.array([*found, tuple(ring)], dtype=np.int64)
