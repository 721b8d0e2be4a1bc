"""Marching cubes with the asymptotic decider: the triangles of a cell, from the values at its corners.

A cell has eight corners, numbered `x + 2y + 4z`; a corner is inside if its value is above zero. On each face of the
cell, segments of the surface connect the edges whose ends differ in sign. If all four edges of a face differ, the sign
of the bilinear interpolant at its saddle decides which segments (Nielson and Hamann, "The asymptotic decider", 1991).
The decision depends on the face alone, so two cells always agree on the face that they share. The segments join to
loops. Each loop is cut into triangles without a diagonal that lies in a face of the cell; if that is impossible, into
a fan around a point in its middle. Each edge of the mesh then belongs to exactly two triangles, so meshes are closed
for any values.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import product

import numpy as np
import numpy.typing as npt
from attrs import frozen

Loop = tuple[int, ...]
Triangle = tuple[int, int, int]

# Ends of the 12 edges, lower corner first: four along x, four along y, four along z.
EDGES = tuple((corner, corner | 1 << axis) for axis in range(3) for corner in range(8) if not corner >> axis & 1)
MIDDLE = 12  # number of the point in the middle of a loop
LOWER_CORNER = np.array([*(low for low, _ in EDGES), 0])
EDGE_AXIS = np.array([*(axis for axis in range(3) for _ in range(4)), 0])
MOST_TRIANGLES = 12  # in a cell

_NUMBER = {frozenset(ends): number for number, ends in enumerate(EDGES)}


def _faces() -> tuple[Loop, ...]:
    """Corners of the six faces, each in anticlockwise order as seen from outside the cell."""
    faces = []
    for axis in range(3):
        first, second = 1 << (axis + 1) % 3, 1 << (axis + 2) % 3
        for side in (0, 1 << axis):
            face = (side, side + first, side + first + second, side + second)
            faces.append(face if side else face[::-1])
    return tuple(faces)


FACES = _faces()
_ON_FACE = tuple(frozenset(_NUMBER[frozenset(pair)] for pair in zip(f, f[1:] + f[:1], strict=True)) for f in FACES)


@frozen(eq=False)
class Table:
    """Triangles of all configurations, which are the signs of the corners and of the saddles of the faces."""

    row: npt.NDArray[np.int16]  # (2^14,), from the number of a configuration to its row; -1 if it cannot occur
    count: npt.NDArray[np.int64]  # (rows,), triangles
    edges: npt.NDArray[np.int8]  # (rows, 12, 3), edges on which the corners of triangles lie, or `MIDDLE`


@cache
def table() -> Table:
    """The table, computed once; this takes hundredths of a second."""
    row = np.full(1 << 14, -1, dtype=np.int16)
    found: list[list[Triangle]] = []
    for case in range(256):
        open_faces = [number for number, face in enumerate(FACES) if _alternates(case, face)]
        for joined in product((0, 1), repeat=len(open_faces)):
            saddles = {face for face, join in zip(open_faces, joined, strict=True) if join}
            row[case | sum(1 << 8 + face for face in saddles)] = len(found)
            found.append([part for loop in loops(case, saddles) for part in triangulated(loop)])
    edges = np.zeros((len(found), MOST_TRIANGLES, 3), dtype=np.int8)
    for number, triangles in enumerate(found):
        edges[number, : len(triangles)] = np.array(triangles, dtype=np.int8).reshape(-1, 3)
    return Table(row, np.array([len(triangles) for triangles in found]), edges)


def configurations(corners: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    """Numbers `(K,)` of the configurations of cells, from the values at their corners `(K, 8)`."""
    inside = corners > 0
    number = inside @ (1 << np.arange(8))
    # Only few cells have a face whose saddle matters.
    for face, (a, b, c, d) in enumerate(FACES):
        alternates = (inside[:, a] == inside[:, c]) & (inside[:, b] == inside[:, d]) & (inside[:, a] != inside[:, b])
        rows = np.flatnonzero(alternates)
        one, two, three, four = (corners[rows, corner].astype(np.float64) for corner in (a, b, c, d))
        # The saddle has the value (ac - bd) / (a + c - b - d), whose denominator has the sign of a.
        saddle = (one * three - two * four) * np.sign(one) > 0
        number[rows] |= saddle.astype(np.int64) << 8 + face
    return number


def loops(case: int, joined: set[int]) -> list[Loop]:
    """Loops of edges that the surface crosses, anticlockwise as seen from outside the solid.

    Args:
        case: signs of the corners; bit c is set if corner c is inside.
        joined: faces with alternating signs whose two inside corners are connected.
    """
    follower: dict[int, int] = {}
    for number, face in enumerate(FACES):
        changes = [
            (_NUMBER[frozenset((a, b))], bool(case >> a & 1))
            for a, b in zip(face, face[1:] + face[:1], strict=True)
            if (case >> a ^ case >> b) & 1
        ]
        for place, (edge, leaves) in enumerate(changes):
            # A segment starts where the walk around the face enters the solid and ends where it leaves it; the walk
            # enters just before it leaves or, if the inside corners are joined, just after.
            if leaves:
                follower[changes[(place + (1 if number in joined else -1)) % len(changes)][0]] = edge
    # Each edge is in two faces, entered in one and left in the other, so `follower` is a permutation: loops are closed.
    found = []
    while follower:
        edge = min(follower)
        loop = []
        while edge in follower:
            loop.append(edge)
            edge = follower.pop(edge)
        found.append(tuple(loop))
    return found


def triangulated(loop: Loop) -> list[Triangle]:
    """Triangles of a loop; a fan around its middle only if every other cut has a diagonal that lies in a face."""
    found = next(_fans(loop), None)
    if found is None:
        return [(a, b, MIDDLE) for a, b in zip(loop, loop[1:] + loop[:1], strict=True)]
    return found


def _fans(loop: Sequence[int]) -> Iterator[list[Triangle]]:
    """All triangulations of a loop whose diagonals lie in no face."""
    if len(loop) < 3:
        yield []
        return
    first, last = loop[0], loop[-1]
    for place in range(1, len(loop) - 1):
        tip = loop[place]
        if (place > 1 and _share_a_face(first, tip)) or (place < len(loop) - 2 and _share_a_face(tip, last)):
            continue
        for left, right in product(_fans(loop[: place + 1]), _fans(loop[place:])):
            yield [*left, (first, tip, last), *right]


def _share_a_face(first: int, second: int) -> bool:
    return any(first in edges and second in edges for edges in _ON_FACE)


def _alternates(case: int, face: Loop) -> bool:
    a, b, c, d = (case >> corner & 1 for corner in face)
    return a == c != b == d
