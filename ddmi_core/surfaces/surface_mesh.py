"""The mesh of a surface: triangles of lattice cells, vertices moved onto the surface, and normals."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
from attrs import frozen

from ddmi_core.surfaces.closed_lattice import ClosedLattice, Positions
from ddmi_core.surfaces.marching_cubes import EDGE_AXIS, LOWER_CORNER, MIDDLE, configurations, table
from ddmi_core.surfaces.mesh import Mesh, smooth_normals, unit_vectors
from ddmi_core.surfaces.sparse_lattice import Index, SparseLattice, Values

LEAF = 2  # cells along the side of a block
NUDGE = 1e-3  # least distance of vertices from lattice points, in cells, so that no two vertices coincide
APART = 1e-6  # least distance of an estimate from the ends of its bracket, in parts of the bracket

# Numbers among the 3 x 3 x 3 points of a block: of the corners of its first cell, which are also the first corners of
# its cells; and of the points of its sides.
_CORNERS = np.array([x + 3 * y + 9 * z for z in range(2) for y in range(2) for x in range(2)])
_PLACES = np.arange(27).reshape(3, 3, 3)
_SIDES: list[tuple[int, int, npt.NDArray[Any]]] = [
    (axis, ahead, np.take(_PLACES, [1 + ahead], axis=2 - axis)) for axis in range(3) for ahead in (-1, 1)
]
_UNIT = np.eye(3, dtype=np.int64)


def surface_mesh(
    points: SparseLattice, lattice: ClosedLattice, blocks: Iterable[Index], steps: int, normals: bool
) -> Mesh:
    """The surface in blocks of 2 x 2 x 2 cells, and in all blocks into which it continues.

    Args:
        points: values at lattice points, evaluated on demand.
        lattice: the function between lattice points, and their coordinates.
        blocks: even origins `(3, K)` of blocks, in batches.
        steps: evaluations per vertex; if `normals` is true, the last one has the gradient as well.
        normals: take normals from the gradient of the function.
    """
    found = _triangles(points, blocks)
    lower, axis, faces, middles = _welded(points, found)
    place, gradients = _on_surface(points, lattice, lower, axis, steps, normals)
    vertices = lattice.coordinates(lower + place * _UNIT[:, axis])
    vertices = np.concatenate([vertices, _means(vertices, faces, middles)])
    placed = vertices.astype(np.float32)
    return Mesh(placed, faces, _normals(lattice, placed, faces, gradients) if normals else None)


@frozen(eq=False)
class _Triangles:
    """Triangles whose corners lie on lattice edges, or in the middle of a cell's loop.

    An edge is 3 a + k for the address a of its lower end and its axis k. A middle, of which a cell has at most one, is
    -1 minus the key of the cell.
    """

    corners: Index  # (T, 3)
    cells: Index  # (T,), key of the cell of each triangle


def _triangles(points: SparseLattice, blocks: Iterable[Index]) -> _Triangles:
    """Triangles in blocks and, through sides that the surface crosses, in their neighbours."""
    found = []
    waiting = [points.unseen(part) for part in blocks]
    while waiting:
        part = waiting.pop()
        addresses = points.cubes(part, 1)
        values = points.known(addresses)
        bits = _bits(values)
        ahead = [part[:, _crossed(bits, places)] + side * LEAF * _UNIT[:, axis, None] for axis, side, places in _SIDES]
        further = points.unseen(np.concatenate(ahead, axis=1))
        if further.size:
            waiting.append(further)
        found.append(_marched(points, part, addresses, values, bits))
    none = np.zeros((0, 3), dtype=np.int64)
    return _Triangles(
        np.concatenate([none, *(part.corners for part in found)]),
        np.concatenate([none[:, 0], *(part.cells for part in found)]),
    )


def _bits(values: Values) -> Index:
    """Which of the 27 points of each block are inside: bit masks `(K,)`."""
    # Exact in double precision, for which matrix products are fast.
    return ((values.reshape(-1, 27) > 0).astype(np.float64) @ 2.0 ** np.arange(27)).astype(np.int64)


def _crossed(bits: Index, places: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Whether some, but not all, of the points with these numbers are inside: `(K,)`."""
    mask = int((1 << places).sum())
    found: npt.NDArray[np.bool_] = (bits & mask != 0) & (bits & mask != mask)
    return found


def _marched(points: SparseLattice, blocks: Index, addresses: Index, values: Values, bits: Index) -> _Triangles:
    """Triangles in the cells of blocks, by marching cubes."""
    known = table()
    block, cell = np.nonzero(np.stack([_crossed(bits, first + _CORNERS) for first in _CORNERS], axis=1))
    rows = block[:, None] * 27 + _CORNERS[cell, None] + _CORNERS
    row = known.row[configurations(values.ravel()[rows])]
    count = known.count[row]
    owner = np.repeat(np.arange(len(row)), count)
    turn = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count)
    edges = known.edges[row[owner], turn]
    keys = points.keys(blocks[:, block] + np.stack([cell & 1, cell >> 1 & 1, cell >> 2]))[owner]
    ends = addresses.ravel()[rows[owner[:, None], LOWER_CORNER[edges]]]
    return _Triangles(np.where(edges == MIDDLE, -1 - keys[:, None], ends * 3 + EDGE_AXIS[edges]), keys)


def _welded(
    points: SparseLattice, found: _Triangles
) -> tuple[Index, npt.NDArray[np.int64], npt.NDArray[np.int32], int]:
    """One vertex for each distinct corner, in an order that depends on the lattice alone.

    Returns:
        indices `(3, V)` of the lower ends of the edges with a vertex, axes `(V,)` of these edges, faces `(F, 3)`, and
        the number of middles of loops, which follow as the last vertices.
    """
    corners = found.corners.take(np.argsort(found.cells, kind="stable"), axis=0)
    middle = corners < 0
    # Only last corners are middles; the first corner stands in for them until they get their own numbers.
    ends = np.where(middle, corners[:, :1], corners)
    marked = np.zeros(3 * len(points), dtype=np.bool_)
    marked[ends.ravel()] = True
    edges = np.flatnonzero(marked)
    lower, axis = points.indices(edges // 3), edges % 3
    order = np.argsort(points.keys(lower) * 3 + axis)
    number = np.empty(len(marked), dtype=np.int32)
    number[edges.take(order)] = np.arange(len(edges), dtype=np.int32)
    faces = number.take(ends)
    middles, own = np.unique(-1 - corners[middle], return_inverse=True)
    faces[middle] = len(edges) + own
    return lower[:, order], axis[order], faces, len(middles)


def _on_surface(
    points: SparseLattice, lattice: ClosedLattice, lower: Index, axis: Index, steps: int, slopes: bool
) -> tuple[Positions, Values]:
    """Fractions `(V,)` along edges, 0 at the lower end, at which the value is zero, and gradients `(V, 3)`.

    Linear interpolation, then quadratic interpolation through both ends of a bracket and the value between them; the
    last time, with `slopes`, through that value, its slope, and the end beyond the root. Gradients are those of this
    last evaluation, next to the root, and NaN without it.
    """
    upper = lower + _UNIT[:, axis]
    first, last = points.at(lower).astype(np.float64), points.at(upper).astype(np.float64)
    place, gradients = first / (first - last), np.full((len(axis), 3), np.nan, dtype=np.float32)
    rows = np.flatnonzero(~(lattice.beyond(lower) | lattice.beyond(upper)))
    lower, axis = lower[:, rows], axis[rows]
    start, end, low, high = np.zeros(len(rows)), np.ones(len(rows)), first[rows], last[rows]
    tried = np.clip(place[rows], APART, 1 - APART)
    for step in range(steps):
        positions = lower + tried * _UNIT[:, axis]
        if slopes and step == steps - 1:
            found, gradients[rows] = lattice.slopes(positions)
            value = found.astype(np.float64)
            front = (value > 0) == (low > 0)
            slope = gradients[rows, axis] * lattice.spacing[axis]
            reach = np.where(front, end, start) - tried
            bend = (np.where(front, high, low) - value - slope * reach) / reach**2
        else:
            value = lattice.between(positions).astype(np.float64)
            front = (value > 0) == (low > 0)
            before, after = (value - low) / (tried - start), (high - value) / (end - tried)
            bend = (after - before) / (end - start)
            slope = before + bend * (tried - start)
        start, low = np.where(front, tried, start), np.where(front, value, low)
        end, high = np.where(front, end, tried), np.where(front, high, value)
        least = APART * (end - start)
        tried = np.clip(tried + _root(value, slope, bend, np.where(low > 0, -1, 1)), start + least, end - least)
    place[rows] = tried
    return np.clip(place, NUDGE, 1 - NUDGE), gradients


def _root(value: Positions, slope: Positions, bend: Positions, sign: Positions) -> Positions:
    """Root of `value + slope x + bend x^2` at which the slope has this sign, in the form that does not cancel."""
    there = sign * np.sqrt(np.maximum(slope**2 - 4 * bend * value, 0))
    agree = slope * there > 0
    above, below = np.where(agree, -2 * value, there - slope), np.where(agree, slope + there, 2 * bend)
    return np.divide(above, below, out=np.zeros_like(value), where=(below != 0) & (value != 0))


def _means(vertices: Positions, faces: npt.NDArray[np.int32], middles: int) -> Positions:
    """Middles of loops `(middles, 3)`: means of the vertices of each loop, which are in two triangles each."""
    total, count = np.zeros((middles, 3)), np.zeros(middles)
    around = faces[faces[:, 2] >= len(vertices)]
    for column in range(2):
        np.add.at(total, around[:, 2] - len(vertices), vertices[around[:, column]])
        np.add.at(count, around[:, 2] - len(vertices), 1)
    means: Positions = total / count[:, None]
    return means


def _normals(lattice: ClosedLattice, points: Values, faces: npt.NDArray[np.int32], gradients: Values) -> Values:
    """Outward unit normals `(V, 3)`: the negative gradient; from the faces at the border and where it is zero.

    Gradients of the first vertices are given; those that are NaN, and of the others, are evaluated.
    """
    if not len(points):
        return points
    normals = np.full_like(points, np.nan)
    normals[: len(gradients)] = -gradients
    border = (np.abs(points) > 1 - 1 / np.array(lattice.size) + 1e-6).any(axis=1)
    unknown = np.isnan(normals).any(axis=1) & ~border
    if unknown.any():
        normals[unknown] = -lattice.function.slopes(points[unknown])[1]
    unclear = border | ~(np.abs(normals).sum(axis=1) > 0)
    if unclear.any():
        normals[unclear] = smooth_normals(points, faces)[unclear]
    return unit_vectors(normals)
