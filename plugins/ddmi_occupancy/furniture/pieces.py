"""Solids by their edges: boards, posts and legs as furniture is made of."""

from __future__ import annotations

import numpy as np

from ddmi_occupancy.solids import Solid


def board(
    x: tuple[float, float], y: tuple[float, float], z: tuple[float, float], rounding: float = 0.0, lean: float = 0.0
) -> Solid:
    """A box from its edges.

    Args:
        x: left and right.
        y: lower and upper.
        z: back and front, at the lower edge.
        rounding: radius of the edges, at most half the smallest side.
        lean: how far it leans backwards for each unit of height.
    """
    low, high = np.array([x[0], y[0], z[0]]), np.array([x[1], y[1], z[1]])
    half = (high - low) / 2
    frame = np.eye(3)
    frame[2, 1] = -lean
    centre = (low + high) / 2 - np.array([0.0, 0.0, lean * half[1]])
    return Solid(False, half, centre, frame, min(rounding, half.min() * 0.999))


def post(
    foot: tuple[float, float], head: tuple[float, float], y: tuple[float, float], form: str, width: float
) -> Solid:
    """An upright part from the floor or a board to another one; both of its ends are level.

    Args:
        foot: x and z of the middle of its lower end.
        head: x and z of the middle of its upper end.
        y: lower and upper end.
        form: `square`, `round`, or `tapered`: round, and wider at the upper end.
        width: its width, at the lower end.
    """
    height = y[1] - y[0]
    frame = np.eye(3)
    frame[0, 1], frame[2, 1] = (head[0] - foot[0]) / height, (head[1] - foot[1]) / height
    centre = [(foot[0] + head[0]) / 2, (y[0] + y[1]) / 2, (foot[1] + head[1]) / 2]
    if form == "square":
        return Solid(False, [width / 2, height / 2, width / 2], centre, frame)
    upper = 1.5 * width if form == "tapered" else width
    return Solid(True, [width / 2, height / 2, upper / 2], centre, frame)


def disc(centre: tuple[float, float, float], x: float, thickness: float, z: float, rounding: float = 0.0) -> Solid:
    """A flat round or oval board: half axes `x` and `z`, and its thickness along y."""
    frame = np.diag([1.0, 1.0, z / x])
    return Solid(True, [x, thickness / 2, x], centre, frame, min(rounding, 0.499 * thickness))


def upright_disc(centre: tuple[float, float, float], x: float, y: float, thickness: float, lean: float = 0.0) -> Solid:
    """A round or oval board that stands: half axes `x` and `y`, and its thickness along z."""
    frame = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, y / x], [0.0, 1.0, -lean * y / x]])
    return Solid(True, [x, thickness / 2, x], centre, frame)


def beam(start: tuple[float, float], end: tuple[float, float], y: float, width: float) -> Solid:
    """A square beam that lies at the height y of its middle, between two places x and z."""
    along = np.array([end[0] - start[0], 0.0, end[1] - start[1]])
    length = float(np.linalg.norm(along))
    along /= length
    frame = np.stack([along, [0.0, 1.0, 0.0], np.cross(along, [0.0, 1.0, 0.0])], axis=1)
    return Solid(
        False, [length / 2, width / 2, width / 2], [(start[0] + end[0]) / 2, y, (start[1] + end[1]) / 2], frame
    )
