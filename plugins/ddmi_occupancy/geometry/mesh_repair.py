"""Mesh repair: consistent orientation of faces, hole filling, and outward orientation."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from ddmi_core.errors import DataError, counted
from ddmi_occupancy.geometry.mesh import EXTENT, Faces, TriangleMesh
from ddmi_occupancy.geometry.winding_number import winding_number

FLAT = 1e-6  # smallest volume, as a share of the cube over the longest side


def directed(faces: Faces) -> Faces:
    """Directed edges `(3 F, 2)` of faces; edge 3 f + k starts at corner k of face f."""
    return np.stack([faces, np.roll(faces, -1, axis=1)], axis=2).reshape(-1, 2)


def open_edges(mesh: TriangleMesh) -> Faces:
    """Directed edges `(E, 2)` without an opposite edge of another face; none if the mesh is closed."""
    edges = directed(mesh.faces)
    low, high = edges.min(axis=1), edges.max(axis=1)
    sign = np.where(edges[:, 0] == low, 1, -1)
    places, which = np.unique(low * len(mesh.vertices) + high, return_inverse=True)
    excess = np.bincount(which, weights=sign, minlength=len(places)).astype(np.int64)
    rows = np.flatnonzero(excess)
    found = np.stack(np.divmod(places[rows], len(mesh.vertices)), axis=1)
    found[excess[rows] < 0] = found[excess[rows] < 0, ::-1]
    return np.repeat(found, np.abs(excess[rows]), axis=0)


def components(mesh: TriangleMesh) -> tuple[int, npt.NDArray[Any]]:
    """Number of connected components, and the component `(F,)` of each face."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    edges = directed(mesh.faces)
    graph = coo_array((np.ones(len(edges), dtype=np.int8), (edges[:, 0], edges[:, 1])), shape=(len(mesh.vertices),) * 2)
    count, labels = connected_components(graph, directed=False)
    return int(count), labels[mesh.faces[:, 0]]


def oriented(mesh: TriangleMesh) -> TriangleMesh:
    """The mesh with consistently oriented faces: those of a component follow its first one.

    Two faces are neighbours if they are the only ones at an edge.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import breadth_first_order

    if not len(open_edges(mesh)):
        return mesh
    edges = directed(mesh.faces)
    low, high = edges.min(axis=1), edges.max(axis=1)
    order = np.argsort(low * len(mesh.vertices) + high, kind="stable")
    places = (low * len(mesh.vertices) + high)[order]
    starts = np.flatnonzero(np.diff(places, prepend=-1))
    pairs = starts[np.diff(starts, append=len(places)) == 2]
    one, other = order[pairs], order[pairs + 1]
    against = edges[one, 0] == edges[other, 0]  # both have the edge in the same direction
    count = len(mesh.faces)
    ends = np.concatenate([one // 3, other // 3]), np.concatenate([other // 3, one // 3])
    graph = coo_array((np.ones(2 * len(pairs)), ends), shape=(count, count)).tocsr()
    turned = dict(zip(zip(ends[0].tolist(), ends[1].tolist(), strict=True), np.tile(against, 2).tolist(), strict=True))
    flip = np.zeros(count, dtype=np.bool_)
    seen = np.zeros(count, dtype=np.bool_)
    for start in range(count):
        if seen[start]:
            continue
        found, before = breadth_first_order(graph, start, directed=False)
        seen[found] = True
        for face in found[1:]:
            flip[face] = flip[before[face]] ^ turned[int(before[face]), int(face)]
    return TriangleMesh(mesh.vertices, np.where(flip[:, None], mesh.faces[:, ::-1], mesh.faces))


def filled(mesh: TriangleMesh) -> TriangleMesh:
    """The mesh with each hole filled by a fan of triangles around its mean; unchanged if open edges form no loops."""
    missing: dict[int, list[int]] = {}
    for start, end in open_edges(mesh).tolist():
        missing.setdefault(end, []).append(start)
    vertices, faces = list(mesh.vertices), mesh.faces.tolist()
    while missing:
        loop = [next(iter(missing))]
        while True:
            ways = missing.get(loop[-1])
            if not ways:
                return mesh
            step = ways.pop()
            if not ways:
                del missing[loop[-1]]
            if step in loop:
                break
            loop.append(step)
        hole = loop[loop.index(step) :]
        for start, end in pairwise(loop[: len(loop) - len(hole) + 1]):
            missing.setdefault(start, []).append(end)
        if len(hole) == 3:
            faces.append(hole)
        elif len(hole) > 3:
            vertices.append(mesh.vertices[hole].mean(axis=0))
            faces += [[a, b, len(vertices) - 1] for a, b in zip(hole, [*hole[1:], hole[0]], strict=True)]
    return TriangleMesh(np.array(vertices), np.array(faces, dtype=np.int64))


def outwards(mesh: TriangleMesh) -> TriangleMesh:
    """The mesh with outward faces; components inside of others are unchanged, since they may be cavities."""
    count, part = components(mesh)
    if count == 1:
        return mesh if mesh.volume > 0 else TriangleMesh(mesh.vertices, mesh.faces[:, ::-1])
    faces = mesh.faces.copy()
    for number in range(count):
        own = part == number
        if TriangleMesh(mesh.vertices, mesh.faces[own]).volume >= 0:
            continue
        corner = mesh.vertices[mesh.faces[own][:1, 0]]
        if np.abs(winding_number(TriangleMesh(mesh.vertices, mesh.faces[~own]), corner)[0]) < 0.5:
            faces[own] = faces[own][:, ::-1]
    return TriangleMesh(mesh.vertices, faces)


def repaired(mesh: TriangleMesh, name: str, repair: bool) -> TriangleMesh:
    """A closed mesh with outward faces.

    Args:
        mesh: normalised.
        name: for messages.
        repair: fill holes and reorient faces; otherwise, the mesh is only checked.

    Raises:
        DataError: if the mesh has holes that cannot or must not be filled, or inward faces, or no volume.
    """
    fix = "close it in a modelling program"
    if repair:
        mesh = oriented(mesh)
    if len(edges := open_edges(mesh)):
        if not repair:
            raise DataError(
                f"{name}: not watertight: {counted(len(edges), 'edge')} without a face on the other side, or with one "
                f"of opposite orientation; {fix}, or repair it with --set domain.repair=true"
            )
        mesh = filled(mesh)
        if len(edges := open_edges(mesh)):
            raise DataError(
                f"{name}: not watertight, and repair failed: {counted(len(edges), 'edge')} still without a face on the "
                f"other side; {fix}"
            )
    if repair:
        mesh = outwards(mesh)
    least = FLAT * (2 * EXTENT) ** 3
    if mesh.volume < -least:
        raise DataError(f"{name}: its faces point inwards; flip them, or repair it with --set domain.repair=true")
    if mesh.volume < least:
        raise DataError(f"{name}: it has no volume; a solid is required, not a sheet")
    return mesh
