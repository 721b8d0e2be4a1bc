"""From blocks of lattice cells that may hold surface to the mesh: triangles, vertices on the surface, and normals."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
from attrs import frozen

from ddmi_occupancy.bricks import Bricks, Index, Values
from ddmi_occupancy.closed_lattice import ClosedLattice, Positions
from ddmi_occupancy.marching import EDGE_AXIS, LOWER_CORNER, MIDDLE, configurations, table
from ddmi_occupancy.mesh import Mesh, smooth_normals, units

LEAF = 2  # cells along the side of a block
NUDGE = 1e-3  # of a cell: least distance of vertices from lattice points, so that no two coincide

# Places among the 3 x 3 x 3 points of a block: of corners, of the cell's as of the cells'; and of the block's sides.
_CORNERS = np.array([x + 3 * y + 9 * z for z in range(2) for y in range(2) for x in range(2)])
_PLACES = np.arange(27).reshape(3, 3, 3)
_SIDES: list[tuple[int, int, npt.NDArray[Any]]] = [
    (axis, ahead, np.take(_PLACES, [1 + ahead], axis=2 - axis)) for axis in range(3) for ahead in (-1, 1)
]
_UNIT = np.eye(3, dtype=np.int64)


def trace(bricks: Bricks, lattice: ClosedLattice, blocks: Iterable[Index], steps: int, slopes: bool) -> Mesh:
    """The surface in some blocks of 2 x 2 x 2 cells, and in those that it continues in.

    Args:
        bricks: what is known of the lattice, and evaluates the rest.
        lattice: what surrounds it.
        blocks: origins `(3, K)`, even, of so many blocks as are treated at once.
        steps: evaluations a vertex.
        slopes: take normals from them.
    """
    found = _triangles(bricks, blocks)
    lower, axis, faces, middles = _welded(bricks, found)
    vertices = lattice.coordinates(lower + _on_surface(bricks, lattice, lower, axis, steps) * _UNIT[:, axis])
    vertices = np.concatenate([vertices, _means(vertices, faces, middles)])
    points = vertices.astype(np.float32)
    return Mesh(points, faces, _normals(lattice, points, faces) if slopes else None)


@frozen(eq=False)
class _Triangles:
    """Triangles by their corners: three times the address of an edge's lower end, plus its axis.

    The middle of a loop, of which a cell has one at most, is -1 minus the number of the cell.
    """

    corners: Index  # (T, 3)
    cells: Index  # (T,), number of the cell that each is in


def _triangles(bricks: Bricks, blocks: Iterable[Index]) -> _Triangles:
    """Triangles in blocks and, across sides where values differ in sign, in their neighbours."""
    found = []
    waiting = [bricks.unseen(part) for part in blocks]
    while waiting:
        part = waiting.pop()
        addresses = bricks.cubes(part, 1)
        values = bricks.known(addresses)
        bits = _bits(values)
        ahead = [part[:, _crossed(bits, places)] + side * LEAF * _UNIT[:, axis, None] for axis, side, places in _SIDES]
        further = bricks.unseen(np.concatenate(ahead, axis=1))
        if further.size:
            waiting.append(further)
        found.append(_marched(bricks, part, addresses, values, bits))
    none = np.zeros((0, 3), dtype=np.int64)
    return _Triangles(
        np.concatenate([none, *(part.corners for part in found)]),
        np.concatenate([none[:, 0], *(part.cells for part in found)]),
    )


def _bits(values: Values) -> Index:
    """Which of the 27 points of blocks are inside, a bit each: `(K,)`."""
    # Exact in double precision, in which products of matrices are fast.
    return ((values.reshape(-1, 27) > 0).astype(np.float64) @ 2.0 ** np.arange(27)).astype(np.int64)


def _crossed(bits: Index, places: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Where some of the points at these places are inside, and some are not."""
    mask = int((1 << places).sum())
    found: npt.NDArray[np.bool_] = (bits & mask != 0) & (bits & mask != mask)
    return found


def _marched(bricks: Bricks, blocks: Index, addresses: Index, values: Values, bits: Index) -> _Triangles:
    """Triangles in the cells of some blocks."""
    known = table()
    block, cell = np.nonzero(np.stack([_crossed(bits, first + _CORNERS) for first in _CORNERS], axis=1))
    rows = block[:, None] * 27 + _CORNERS[cell, None] + _CORNERS
    row = known.row[configurations(values.ravel()[rows])]
    count = known.count[row]
    owner = np.repeat(np.arange(len(row)), count)
    turn = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count)
    edges = known.edges[row[owner], turn]
    numbers = bricks.numbers(blocks[:, block] + np.stack([cell & 1, cell >> 1 & 1, cell >> 2]))[owner]
    ends = addresses.ravel()[rows[owner[:, None], LOWER_CORNER[edges]]]
    return _Triangles(np.where(edges == MIDDLE, -1 - numbers[:, None], ends * 3 + EDGE_AXIS[edges]), numbers)


def _welded(bricks: Bricks, found: _Triangles) -> tuple[Index, npt.NDArray[np.int64], npt.NDArray[np.int32], int]:
    """Corners as vertices, each once, in an order that depends on the lattice alone.

    Returns:
        indices `(3, V)` of the lower ends of the edges with a vertex, axes `(V,)` of the edges, faces `(F, 3)`, and the
        number of middles of loops, which are counted as the last vertices.
    """
    corners = found.corners.take(np.argsort(found.cells, kind="stable"), axis=0)
    middle = corners < 0
    ends = np.where(middle, corners[:, :1], corners)  # middles are last corners: another stands in for them
    marked = np.zeros(3 * len(bricks), dtype=np.bool_)
    marked[ends.ravel()] = True
    edges = np.flatnonzero(marked)
    lower, axis = bricks.indices(edges // 3), edges % 3
    order = np.argsort(bricks.numbers(lower) * 3 + axis)
    number = np.empty(len(marked), dtype=np.int32)
    number[edges.take(order)] = np.arange(len(edges), dtype=np.int32)
    faces = number.take(ends)
    middles, own = np.unique(-1 - corners[middle], return_inverse=True)
    faces[middle] = len(edges) + own
    return lower[:, order], axis[order], faces, len(middles)


def _on_surface(bricks: Bricks, lattice: ClosedLattice, lower: Index, axis: Index, steps: int) -> Positions:
    """Where on each edge the value is zero, `(V,)` from 0 at its lower end to 1.

    By linear interpolation, then by false position as in the Illinois algorithm: the end that stays twice counts half.
    """
    upper = lower + _UNIT[:, axis]
    first, last = bricks.at(lower).astype(np.float64), bricks.at(upper).astype(np.float64)
    place = first / (first - last)
    rows = np.flatnonzero(~(lattice.beyond(lower) | lattice.beyond(upper)))
    start, end = np.zeros(len(rows)), np.ones(len(rows))
    low, high = first[rows], last[rows]
    side = np.zeros(len(rows), dtype=np.int64)
    for _ in range(steps):
        tried = place[rows]
        value = lattice.between(lower[:, rows] + tried * _UNIT[:, axis[rows]]).astype(np.float64)
        front = (value > 0) == (low > 0)
        start, low = np.where(front, tried, start), np.where(front, value, low * np.where(side == -1, 0.5, 1))
        end, high = np.where(front, end, tried), np.where(front, high * np.where(side == 1, 0.5, 1), value)
        side = np.where(front, 1, -1)
        place[rows] = start + (end - start) * low / (low - high)
    return np.clip(place, NUDGE, 1 - NUDGE)


def _means(vertices: Positions, faces: npt.NDArray[np.int32], middles: int) -> Positions:
    """Middles of loops `(middles, 3)`: means of the vertices around, each of which is in two triangles."""
    total, count = np.zeros((middles, 3)), np.zeros(middles)
    around = faces[faces[:, 2] >= len(vertices)]
    for column in range(2):
        np.add.at(total, around[:, 2] - len(vertices), vertices[around[:, column]])
        np.add.at(count, around[:, 2] - len(vertices), 1)
    means: Positions = total / count[:, None]
    return means


def _normals(lattice: ClosedLattice, points: Values, faces: npt.NDArray[np.int32]) -> Values:
    """Outward unit normals `(V, 3)`: against the slopes; from the faces where a solid is cut off, or has no slope."""
    if not len(points):
        return points
    normals = -lattice.solid.slopes(points)
    outer = 1 - 1 / np.array(lattice.size)
    unclear = (np.abs(points) > outer + 1e-6).any(axis=1) | ~(np.abs(normals).sum(axis=1) > 0)
    if unclear.any():
        normals[unclear] = smooth_normals(points, faces)[unclear]
    return units(normals)
