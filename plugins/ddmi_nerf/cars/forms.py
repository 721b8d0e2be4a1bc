"""Polytopes that cars are made of: boxes, and bodies by their outline from the side."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from ddmi_nerf.cars.solids import Array, Polytope

Span = tuple[float, float]
Face = tuple[Array, float]


def block(x: Span | None = None, y: Span | None = None, z: Span | None = None) -> Polytope:
    """The box between limits; without limits along an axis if left out."""
    faces: list[Face] = []
    for axis, span in zip(np.eye(3), (x, y, z), strict=True):
        if span is not None:
            faces += [(-axis, -span[0]), (axis, span[1])]
    return _polytope(faces)


def profile(outline: Sequence[Span], margin: float = 0.0) -> Polytope:
    """All that has an outline, seen from the side.

    Args:
        outline: corners (x, z) of a convex polygon, anticlockwise with x to the right and z up.
        margin: by how much its edges are moved inwards.
    """
    faces = [_edge(*pair) for pair in pairwise([*outline, outline[0]])]
    return _polytope([(plane, offset - margin) for plane, offset in faces])


def flanks(half: float, lean: float = 0.0, level: float = 0.0) -> Polytope:
    """All between two sides that lean towards each other.

    Args:
        half: half of the width.
        lean: how much half of the width falls for each unit of height.
        level: height at which half of the width is `half`.
    """
    length = np.hypot(1.0, lean)
    return _polytope([(np.array([0.0, side, lean]) / length, (half + lean * level) / length) for side in (-1.0, 1.0)])


def bevelled(outer: Polytope, sides: Polytope, bevel: float) -> Polytope:
    """A body between its sides, whose edges are cut off.

    Args:
        outer: its profile, faces in order.
        sides: its flanks.
        bevel: by how much edges are cut, at right angles to the cut.
    """
    around = list(zip(outer.planes, outer.offsets, strict=True))
    beside = list(zip(sides.planes, sides.offsets, strict=True))
    cuts = [_cut(first, second, bevel) for first, second in pairwise([*around, around[0]])]
    cuts += [_cut(face, side, bevel) for face in around for side in beside]
    return _polytope([*around, *beside, *cuts])


def both(first: Polytope, *others: Polytope) -> Polytope:
    """What several polytopes have in common."""
    every = [first, *others]
    return Polytope(np.concatenate([part.planes for part in every]), np.concatenate([part.offsets for part in every]))


def _polytope(faces: Sequence[Face]) -> Polytope:
    return Polytope([plane for plane, _ in faces], [offset for _, offset in faces])


def _edge(start: Span, end: Span) -> Face:
    plane = np.array([end[1] - start[1], 0.0, start[0] - end[0]])
    plane /= np.linalg.norm(plane)
    return plane, float(plane @ [start[0], 0.0, start[1]])


def _cut(first: Face, second: Face, bevel: float) -> Face:
    """The plane between two faces that cuts their edge off."""
    total = first[0] + second[0]
    length = float(np.linalg.norm(total))
    return total / length, (first[1] + second[1]) / length - bevel
