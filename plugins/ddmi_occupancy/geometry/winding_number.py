"""Inside tests for closed meshes by winding numbers, from ray crossings or solid angles."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
import numpy.typing as npt

from ddmi_core.parts import default_device
from ddmi_occupancy.geometry.mesh import Array, Faces, Marks, TriangleMesh, open_edges

PAIRS = 1 << 20  # pairs of a point and a face that are tested at once
ANGLES = 1 << 15  # pairs whose solid angles are computed at once; they fit into the CPU's cache
AGREEMENT = 0.98  # smallest share of points at which kaolin and the rays must agree
PROBES = 1024  # points at which kaolin is compared with the rays

Index = npt.NDArray[np.int64]
Vectors = Array | Sequence[Array]  # three coordinates

log = logging.getLogger(__name__)


def inside(mesh: TriangleMesh, points: Array, name: str = "mesh") -> Marks:
    """Whether points are inside a mesh: its winding number is at least 1, so overlapping parts are united.

    Winding numbers of a mesh with holes are fractions; points with more than 1/2 are inside.

    Signed crossings of rays along the three axes give the winding number; points for which the axes disagree are
    decided by solid angles. If kaolin is installed, its `check_sign` is used instead for meshes on which it agrees with
    the rays at 98 % of up to 1024 points; it tests the parity of crossings, which differs where parts overlap.

    Args:
        mesh: closed, or open if the winding numbers are to decide.
        points: `(P, 3)`.
        name: for messages.

    Returns:
        `(P,)`
    """
    if len(edges := open_edges(mesh)):
        return np.asarray(open_winding_number(mesh, points, edges) > 0.5)
    if kaolin_available():
        probes = np.arange(0, len(points), max(1, len(points) // PROBES))
        answer = kaolin_inside(mesh, points)
        agreed = float((answer[probes] == inside_by_rays(mesh, points[probes])).mean())
        if agreed >= AGREEMENT:
            return answer
        log.info("%s: kaolin is not used: it agrees with the rays at only %.0f %% of the points", name, 100 * agreed)
    return inside_by_rays(mesh, points)


def inside_by_rays(mesh: TriangleMesh, points: Array) -> Marks:
    """`inside` without kaolin."""
    votes = np.stack([crossings(mesh, points, axis) >= 1 for axis in range(3)])
    doubtful = np.flatnonzero(votes.any(axis=0) != votes.all(axis=0))
    result = votes.sum(axis=0) >= 2
    result[doubtful] = winding_number(mesh, points[doubtful]) > 0.5
    return np.asarray(result)


def winding_number(mesh: TriangleMesh, points: Array) -> Array:
    """Generalised winding numbers `(P,)` of points `(P, 3)`: solid angles over 4 pi (van Oosterom and Strackee, 1983).

    They are integers for closed meshes; for others, close to 1 inside and to 0 outside.
    """
    corners = np.ascontiguousarray(mesh.corners.transpose(1, 2, 0))[:, :, None]  # corner, coordinate, 1, face
    result = np.empty(len(points))
    step = max(1, ANGLES // len(mesh.faces))
    for start in range(0, len(points), step):
        part = points[start : start + step]
        a, b, c = corners - part.T[:, :, None]  # each `(3, points, faces)`
        result[start : start + step] = _angles(a, b, c).sum(axis=1) / (4 * np.pi)
    return result


def open_winding_number(mesh: TriangleMesh, points: Array, edges: Faces) -> Array:
    """`winding_number` from the open edges of a mesh.

    Strips from the open edges to infinity close the mesh: rays in the other direction cross none of them and give its
    winding number, of which the solid angles of the strips are subtracted. A strip is seen as the spherical triangle of
    its edge and its direction.

    Args:
        mesh: with any holes.
        points: `(P, 3)`.
        edges: its open edges, `(E, 2)`.
    """
    total = crossings(mesh, points, 0).astype(np.float64)
    ends = np.ascontiguousarray(mesh.vertices[edges[:, ::-1]].transpose(1, 2, 0))[
        :, :, None
    ]  # end, coordinate, 1, edge
    step = max(1, ANGLES // len(edges))
    for start in range(0, len(points), step):
        part = points[start : start + step]
        a, b = ends - part.T[:, :, None]
        along = np.array([-1.0, 0.0, 0.0])[:, None, None]
        total[start : start + step] -= _angles(a, b, along).sum(axis=1) / (4 * np.pi)
    return total


def _angles(a: Array, b: Array, c: Array) -> Array:
    """Signed solid angles of triangles with corners in directions a, b and c, whose coordinates are the first axis."""
    la, lb, lc = (np.sqrt(_dot(side, side)) for side in (a, b, c))
    across = (b[1] * c[2] - b[2] * c[1], b[2] * c[0] - b[0] * c[2], b[0] * c[1] - b[1] * c[0])
    below = la * lb * lc + _dot(a, b) * lc + _dot(b, c) * la + _dot(c, a) * lb
    return np.asarray(2 * np.arctan2(_dot(a, across), below))


def crossings(mesh: TriangleMesh, points: Array, axis: int) -> Index:
    """Signed face crossings `(P,)` of rays from points `(P, 3)` in the direction of an axis: 1 outwards, -1 inwards.

    The sum is the winding number if the mesh is closed.
    """
    total = np.zeros(len(points), dtype=np.int64)
    for _, point, turns in _crossed(mesh, points, axis):
        np.add.at(total, point, turns)
    return total


def windings(mesh: TriangleMesh, points: Array, part: Index) -> tuple[Index, Index, Index]:
    """Winding numbers of the closed parts of a mesh around points `(P, 3)`, other than 0: point, part, and number.

    Args:
        mesh: consists of closed parts.
        points: `(P, 3)`.
        part: number of the part of each face, `(F,)`.
    """
    count = int(part.max()) + 1
    found = [(point * count + part[face], turns) for face, point, turns in _crossed(mesh, points, 0)]
    pairs, turns = (np.concatenate([np.zeros(0, dtype=np.int64), *each]) for each in zip(*found, strict=True))
    places, which = np.unique(pairs, return_inverse=True)
    total = np.bincount(which, weights=turns, minlength=len(places)).astype(np.int64)
    return places[total != 0] // count, places[total != 0] % count, total[total != 0]


def boxes_within(low: Array, high: Array) -> tuple[Index, Index]:
    """Pairs of an axis-aligned box and another one that contains it.

    Args:
        low: lower corners, `(N, 3)`.
        high: upper corners, `(N, 3)`.
    """
    found = []
    for outer, inner in _pairs(np.stack([low, high], axis=1)[..., :2], ((low + high) / 2)[:, :2]):
        within = (low[outer] <= low[inner]) & (high[inner] <= high[outer])
        kept = within.all(axis=1) & (outer != inner)
        found.append(np.stack([inner[kept], outer[kept]]))
    pairs = np.concatenate([np.zeros((2, 0), dtype=np.int64), *found], axis=1)
    return pairs[0], pairs[1]


def _crossed(mesh: TriangleMesh, points: Array, axis: int) -> Iterator[tuple[Index, Index, Index]]:
    """Yield faces, points whose rays cross them, and signs of the crossings: 1 outwards, -1 inwards.

    A ray crosses a face if the projected outline of the face winds around the point. Both faces at an edge evaluate the
    edge identically, so no ray passes between them.
    """
    across = [(axis + 1) % 3, (axis + 2) % 3]
    flat, height = mesh.vertices[:, across], mesh.vertices[:, axis]
    for face, point in _pairs(flat[mesh.faces], points[:, across]):
        corner, place = mesh.faces[face], points[point][:, across]
        turns = np.zeros(len(face), dtype=np.int64)
        for k in range(3):
            start, end = corner[:, k], corner[:, (k + 1) % 3]
            low, high = np.minimum(start, end), np.maximum(start, end)
            one, other = flat[low], flat[high]
            spans = (one[:, 1] <= place[:, 1]) != (other[:, 1] <= place[:, 1])
            with np.errstate(divide="ignore", invalid="ignore"):
                share = (place[:, 1] - one[:, 1]) / (other[:, 1] - one[:, 1])
                right = spans & (one[:, 0] + share * (other[:, 0] - one[:, 0]) > place[:, 0])
            turns += np.where(right, np.where(flat[start][:, 1] < flat[end][:, 1], 1, -1), 0)
        hit = np.flatnonzero(turns)
        face, point, turns = face[hit], point[hit], turns[hit]
        above = _heights(flat[mesh.faces[face]], height[mesh.faces[face]], points[point][:, across])
        beyond = np.flatnonzero(above > points[point, axis])
        yield face[beyond], point[beyond], turns[beyond]


def kaolin_available() -> bool:
    """Whether NVIDIA's kaolin is installed; the package of this name on PyPI is a placeholder without operations."""
    try:
        return find_spec("kaolin.ops.mesh") is not None
    except (ImportError, ValueError):
        return False


def kaolin_inside(mesh: TriangleMesh, points: Array) -> Marks:
    """Whether points `(P, 3)` are inside, by `kaolin.ops.mesh.check_sign(verts, faces, points)`: `(P,)`.

    It takes vertices `(B, V, 3)`, faces `(F, 3)` of int64, and points `(B, P, 3)`, all on one device.
    """
    import torch

    check_sign = import_module("kaolin.ops.mesh").check_sign
    device = default_device()

    def moved(values: npt.NDArray[Any]) -> torch.Tensor:
        return torch.from_numpy(values.astype(np.float32)).to(device)[None]

    faces = torch.from_numpy(mesh.faces).to(device)
    return np.asarray(check_sign(moved(mesh.vertices), faces, moved(points))[0].cpu().numpy(), dtype=np.bool_)


def _dot(one: Vectors, other: Vectors) -> Array:
    """Scalar products of vectors whose coordinates are the first axis."""
    return one[0] * other[0] + one[1] * other[1] + one[2] * other[2]


def _heights(flat: Array, height: Array, place: Array) -> Array:
    """Heights `(N,)` of faces at places `(N, 2)`, for corners `(N, 3, 2)` with heights `(N, 3)`."""
    a, b, c = flat.transpose(1, 0, 2)
    u, v, w = b - a, c - a, place - a
    area = u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        s = (w[:, 0] * v[:, 1] - w[:, 1] * v[:, 0]) / area
        t = (u[:, 0] * w[:, 1] - u[:, 1] * w[:, 0]) / area
        found = height[:, 0] + s * (height[:, 1] - height[:, 0]) + t * (height[:, 2] - height[:, 0])
    found = np.where(np.isfinite(found), found, height.mean(axis=1))
    return np.asarray(found.clip(height.min(axis=1), height.max(axis=1)))


def _pairs(flat: Array, places: Array) -> Iterator[tuple[Index, Index]]:
    """Yield numbers of faces, and of points within their bounding rectangles, by means of a uniform grid.

    Args:
        flat: `(F, 3, 2)`, projected corners of the faces.
        places: `(P, 2)`, projected points.
    """
    side = max(1, int(np.sqrt(len(places)) / 2))
    low, high = places.min(axis=0), places.max(axis=0)
    scale = side / np.maximum(high - low, 1e-12)

    def cell(values: Array) -> Index:
        return np.asarray(np.floor((values - low) * scale).astype(np.int64).clip(0, side - 1))

    least, most = flat.min(axis=1), flat.max(axis=1)
    faces = np.flatnonzero((most >= low).all(axis=1) & (least <= high).all(axis=1))
    first, last = cell(least[faces]), cell(most[faces])
    where = cell(places) @ np.array([side, 1])
    order = np.argsort(where, kind="stable")
    starts = np.searchsorted(where[order], np.arange(side * side + 1))
    wide = last - first + 1
    ends = np.cumsum(wide.prod(axis=1))
    begin = 0
    while begin < len(faces):
        # As many faces as cover PAIRS / 8 cells in all; at least one.
        before = ends[begin - 1] if begin else 0
        until = max(begin + 1, int(np.searchsorted(ends, before + PAIRS // 8, side="right")))
        part = slice(begin, until)
        begin = until
        number, offset = _spread(wide[part].prod(axis=1))
        row, column = np.divmod(offset, wide[part][number, 1])
        cells = (first[part][number, 0] + row) * side + first[part][number, 1] + column
        which, offset = _spread(starts[cells + 1] - starts[cells])
        face, point = faces[part][number[which]], order[starts[cells[which]] + offset]
        near = (places[point] >= least[face]) & (places[point] <= most[face])
        kept = np.flatnonzero(near[:, 0] & near[:, 1])
        yield face[kept], point[kept]


def _spread(counts: Index) -> tuple[Index, Index]:
    """Item numbers repeated by counts, and 0, 1, ... within each item."""
    number = np.repeat(np.arange(len(counts)), counts)
    return number, np.arange(len(number)) - np.repeat(np.cumsum(counts) - counts, counts)
