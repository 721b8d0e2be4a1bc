"""Mesh repair: consistent orientation of faces, hole filling, and outward orientation."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from ddmi_core.errors import DataError, counted
from ddmi_occupancy.geometry.mesh import EXTENT, Array, TriangleMesh, directed, open_edges
from ddmi_occupancy.geometry.winding_number import boxes_within, windings

FLAT = 1e-6  # smallest volume, as a share of the cube over the longest side
WALLS = ", or give sheets walls with --set domain.solid=wrap"
PROBES = 5  # centres of faces of a component that must be in another one

Index = npt.NDArray[np.int64]


def components(mesh: TriangleMesh) -> tuple[int, npt.NDArray[Any]]:
    """Number of components, and the component `(F,)` of each face: faces that are the only two at an edge share one."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    one, other, _ = _neighbours(mesh)
    graph = coo_array((np.ones(len(one), dtype=np.int8), (one, other)), shape=(len(mesh.faces),) * 2)
    count, labels = connected_components(graph, directed=False)
    return int(count), labels


def oriented(mesh: TriangleMesh) -> TriangleMesh:
    """The mesh with consistently oriented faces: those of a component follow its first one.

    Two faces are neighbours if they are the only ones at an edge.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import breadth_first_order, connected_components

    if not len(open_edges(mesh)):
        return mesh
    one, other, against = _neighbours(mesh)
    count = len(mesh.faces)
    ends = np.concatenate([one, other]), np.concatenate([other, one])
    graph = coo_array((np.ones(2 * len(one)), ends), shape=(count, count))
    _, labels = connected_components(graph, directed=False)
    firsts = np.unique(labels, return_index=True)[1]
    # One search from a further node, from which an edge leads to the first face of each component.
    ways = np.concatenate([ends[0], np.full(len(firsts), count)]), np.concatenate([ends[1], firsts])
    rooted = coo_array((np.ones(len(ways[0])), ways), shape=(count + 1,) * 2).tocsr()
    _, before = breadth_first_order(rooted, count, directed=True)
    before[count] = count
    key = ends[0] * (count + 1) + ends[1]
    order = np.argsort(key, kind="stable")
    wanted = before[:count].astype(np.int64) * (count + 1) + np.arange(count)
    place = order[(np.searchsorted(key[order], wanted, side="right") - 1).clip(min=0)] if len(key) else None
    flip = np.zeros(count + 1, dtype=np.bool_)
    if place is not None:
        flip[:count] = (key[place] == wanted) & np.tile(against, 2)[place]
    while (before != count).any():  # the parity of the way to the root, in steps that double
        flip, before = flip ^ flip[before], before[before]
    return TriangleMesh(mesh.vertices, np.where(flip[:count, None], mesh.faces[:, ::-1], mesh.faces))


def _neighbours(mesh: TriangleMesh) -> tuple[Index, Index, npt.NDArray[np.bool_]]:
    """Pairs of faces that are the only two at an edge, and whether both have it in the same direction."""
    edges = directed(mesh.faces)
    low, high = edges.min(axis=1), edges.max(axis=1)
    order = np.argsort(low * len(mesh.vertices) + high, kind="stable")
    places = (low * len(mesh.vertices) + high)[order]
    starts = np.flatnonzero(np.diff(places, prepend=-1))
    pairs = starts[np.diff(starts, append=len(places)) == 2]
    one, other = order[pairs], order[pairs + 1]
    return one // 3, other // 3, edges[one, 0] == edges[other, 0]


def single_sided(mesh: TriangleMesh) -> TriangleMesh:
    """The mesh without the backs of double-sided faces: faces that are there both ways round.

    Where only some faces are double-sided, this applies to the closed components of them: the others are sheets, or lie
    between solids that touch, and change nothing.
    """
    corners = np.sort(mesh.faces, axis=1)
    which = np.unique(corners, axis=0, return_inverse=True)[1].reshape(-1)
    first = mesh.faces.argmin(axis=1)[:, None]
    following = np.take_along_axis(mesh.faces, (first + 1) % 3, axis=1)[:, 0]
    way = np.where(following == corners[:, 1], 1, -1)
    paired = (np.bincount(which, way) == 0)[which]
    if not paired.any():
        return mesh
    fronts = paired & (way > 0) & ~_repeats(which, paired & (way > 0))
    if not paired.all():
        sheet = TriangleMesh(mesh.vertices, mesh.faces[fronts])
        count, part = components(sheet)
        loose = oriented(sheet)
        open_ends = np.isin(loose.faces, np.unique(open_edges(loose))).any(axis=1)
        closed = np.bincount(part, open_ends, count) == 0
        kept = np.zeros(len(mesh.faces), dtype=np.bool_)
        kept[np.flatnonzero(fronts)] = closed[part]
        paired &= np.isin(which, which[kept])
        fronts = kept
    return TriangleMesh(mesh.vertices, mesh.faces[~paired | fronts])


def _repeats(which: Index, chosen: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Whether an earlier one of the chosen items has the same number."""
    rows = np.flatnonzero(chosen)
    repeated = np.zeros(len(which), dtype=np.bool_)
    repeated[np.delete(rows, np.unique(which[rows], return_index=True)[1])] = True
    return repeated


def filled(mesh: TriangleMesh) -> TriangleMesh:
    """The mesh with each hole filled by a fan of triangles around its mean; unchanged if open edges form no loops."""
    missing: dict[int, list[int]] = {}
    for start, end in open_edges(mesh).tolist():
        missing.setdefault(end, []).append(start)
    vertices, faces = list(mesh.vertices), mesh.faces.tolist()
    while missing:
        loop = [next(iter(missing))]
        places = {loop[0]: 0}
        while True:
            ways = missing.get(loop[-1])
            if not ways:
                return mesh
            step = ways.pop()
            if not ways:
                del missing[loop[-1]]
            if step in places:
                break
            places[step] = len(loop)
            loop.append(step)
        hole = loop[places[step] :]
        for start, end in pairwise(loop[: len(loop) - len(hole) + 1]):
            missing.setdefault(start, []).append(end)
        if len(hole) == 3:
            faces.append(hole)
        elif len(hole) > 3:
            vertices.append(mesh.vertices[hole].mean(axis=0))
            faces += [[a, b, len(vertices) - 1] for a, b in zip(hole, [*hole[1:], hole[0]], strict=True)]
    return TriangleMesh(np.array(vertices), np.array(faces, dtype=np.int64))


def outwards(mesh: TriangleMesh) -> TriangleMesh:
    """The mesh with outward faces.

    A component that is in no other one is turned outwards, and with it all that are in it: where a whole mesh is inside
    out, so are its cavities. Otherwise, components in others are unchanged, since they may be cavities.
    """
    count, part = components(mesh)
    # Relative to the middle of each component, since open ones have no volume of their own.
    middle = np.stack([np.bincount(part, axis, count) for axis in mesh.corners.mean(axis=1).T], axis=1)
    corners = mesh.corners - (middle / np.bincount(part, minlength=count)[:, None])[part][:, None]
    a, b, c = corners.transpose(1, 0, 2)
    volume = np.bincount(part, np.einsum("ij,ij->i", a, np.cross(b, c)) / 6, count)
    inwards = volume < -1e-9 * np.abs(volume).max()  # a single triangle has no volume but that of rounding
    if not inwards.any():
        return mesh
    around = _surroundings(mesh, count, part, np.abs(volume))
    turned = inwards[around]
    return TriangleMesh(mesh.vertices, np.where(turned[part][:, None], mesh.faces[:, ::-1], mesh.faces))


def _surroundings(mesh: TriangleMesh, count: int, part: Index, size: Array) -> Index:
    """For each component, the largest one that contains all of its probes, or else itself: `(count,)`.

    Args:
        mesh: closed.
        count: number of components.
        part: component of each face, `(F,)`.
        size: volume of each component, `(count,)`.
    """
    order = np.argsort(part, kind="stable")
    starts = np.searchsorted(part[order], np.arange(count + 1))
    low, high = (
        each.reduceat(mesh.corners[order].reshape(-1, 3), 3 * starts[:-1], axis=0) for each in (np.minimum, np.maximum)
    )
    inner, outer = boxes_within(low, high)
    around = np.arange(count)
    if not len(inner):
        return around
    tried = np.unique(inner)
    steps = np.rint(np.linspace(0, 1, PROBES) * (np.diff(starts)[tried] - 1)[:, None]).astype(np.int64)
    probes = mesh.corners[order[starts[tried][:, None] + steps]].mean(axis=2).reshape(-1, 3)  # centres of faces
    rows = np.flatnonzero(np.isin(part, outer))
    probe, container, winding = windings(TriangleMesh(mesh.vertices, mesh.faces[rows]), probes, part[rows])
    own = tried[probe // PROBES]
    within = (winding != 0) & (container != own) & (size[container] > size[own])
    pairs, times = np.unique(own[within] * count + container[within], return_counts=True)
    inner, outer = np.divmod(pairs[times == PROBES], count)
    for k in np.argsort(size[outer], kind="stable"):
        around[inner[k]] = outer[k]
    return around


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
        if repair and _neighbours(mesh)[2].any():
            raise DataError(f"{name}: it has one side only, as a Moebius strip; a solid is required{WALLS}")
        if not repair:
            raise DataError(
                f"{name}: not watertight: {counted(len(edges), 'edge')} without a face on the other side, or with one "
                f"of opposite orientation; {fix}, or repair it with --set domain.repair=true"
            )
        mesh = filled(mesh)
        if len(edges := open_edges(mesh)):
            raise DataError(
                f"{name}: not watertight, and repair failed: {counted(len(edges), 'edge')} still without a face on the "
                f"other side; {fix}{WALLS}"
            )
    if repair:
        mesh = outwards(mesh)
    least = FLAT * (2 * EXTENT) ** 3
    if mesh.volume < -least:
        raise DataError(f"{name}: its faces point inwards; flip them, or repair it with --set domain.repair=true")
    if mesh.volume < least:
        raise DataError(f"{name}: it has no volume; a solid is required, not a sheet{WALLS}")
    return mesh
