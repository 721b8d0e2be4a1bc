"""Solids by formulas, which turn while they move through the cube."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

KINDS = ("ball", "box", "ring", "cross")
TURN = 2.0  # radians from the first moment to the last
REACH = 0.3  # largest coordinate of a solid's centre at the first and the last moment

Array = npt.NDArray[np.floating[Any]]


def occupancy(number: int, size: tuple[int, int, int, int]) -> Array:
    """The solid of a number on a grid of cells over t, z, y and x, in [-1, 1].

    The value is 1 inside, -1 outside, and proportional to the signed distance within one cell of the surface.
    """
    draw = np.random.default_rng(number)
    kind = KINDS[number % len(KINDS)]
    first, last = draw.uniform(-REACH, REACH, (2, 3))
    scale, turn = draw.uniform(0.55, 0.8), TURN * draw.uniform(-1, 1)
    axis = draw.normal(size=3)
    t, z, y, x = np.meshgrid(*((2 * np.arange(n) + 1) / n - 1 for n in size), indexing="ij", sparse=True)
    share = ((t + 1) / 2)[..., None]
    grid = np.stack(np.broadcast_arrays(x, y, z, t)[:3], axis=-1) - first - (last - first) * share
    distance = scale * _distance(kind, _turned(grid / scale, axis, turn * t))
    values: Array = np.clip(-distance * min(size[1:]) / 2, -1, 1)
    return values


def _turned(places: Array, axis: Array, angle: Array) -> Any:
    """Places `(..., 3)` turned about an axis (Rodrigues' formula)."""
    axis = axis / np.linalg.norm(axis)
    angle = angle[..., None]
    along = (places @ axis)[..., None] * axis
    return along + (places - along) * np.cos(angle) + np.cross(axis, places) * np.sin(angle)


def _distance(kind: str, places: Array) -> Any:
    """Signed distance of places `(..., 3)` to a solid of about unit size; negative inside."""
    if kind == "ball":
        return np.linalg.norm(places, axis=-1) - 0.8
    if kind == "box":
        return _box(places, (0.7, 0.4, 0.7))
    if kind == "ring":
        around = np.linalg.norm(places[..., :2], axis=-1) - 0.75
        return np.hypot(around, places[..., 2]) - 0.3
    return np.minimum(_box(places, (1.0, 0.3, 0.3)), _box(places, (0.3, 1.0, 0.3)))


def _box(places: Array, half: tuple[float, float, float]) -> Any:
    beyond = np.abs(places) - half
    return np.linalg.norm(beyond.clip(0), axis=-1) + beyond.max(axis=-1).clip(max=0)
