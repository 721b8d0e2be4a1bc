"""Training points in space, and the row of bytes in which the points of one shape are stored.

Half of the points in space are uniform over [-1, 1]^3. The others are surface points with normal noise, half of them
with a small and half with a larger standard deviation. Weighted by `point_weights`, means over all points are unbiased
estimates of means over [-1, 1]^3.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from attrs import frozen

from ddmi_occupancy.geometry.mesh import Array, Marks

NOISE = (0.025, 0.1)  # standard deviations of the points near the surface, along each axis
SPARE = 2  # surface points stored per shape, as a multiple of those in a batch
STEPS = 32767  # quantisation of coordinates: steps per unit
NORMAL_STEPS = 127

Rows = npt.NDArray[np.uint8]


@frozen(eq=False)
class Clouds:
    """Quantised points of N shapes, as views of their rows."""

    surface: npt.NDArray[np.int16]  # (N, M, 3), in steps of 1/32767
    normals: npt.NDArray[np.int8]  # (N, M, 3), in steps of 1/127
    points: npt.NDArray[np.int16]  # (N, Q, 3), in steps of 1/32767
    inside: npt.NDArray[np.uint8]  # (N, Q / 8), one bit per point, most significant first


@frozen
class Packing:
    """The layout of a row.

    Args:
        surface: points on the surface.
        points: points in space.
    """

    surface: int
    points: int

    @property
    def length(self) -> int:
        """Bytes of a row; even, for the alignment of int16."""
        length = 9 * self.surface + 6 * self.points + -(-self.points // 8)
        return length + length % 2

    def row(self, surface: Array, normals: Array, points: Array, inside: Callable[[Array], Marks]) -> Rows:
        """One shape as a row.

        Args:
            surface: `(M, 3)`, in [-1, 1].
            normals: `(M, 3)`, unit vectors.
            points: `(Q, 3)`, in [-1, 1].
            inside: inside test of points `(Q, 3)`; it gets the points after quantisation.
        """
        kept = in_steps(points)
        parts = [
            in_steps(surface).tobytes(),
            kept.tobytes(),
            np.rint(normals * NORMAL_STEPS).astype(np.int8).tobytes(),
            np.packbits(inside(kept / STEPS)).tobytes(),
        ]
        return np.frombuffer(b"".join(parts).ljust(self.length, b"\0"), dtype=np.uint8)

    def clouds(self, rows: npt.NDArray[Any]) -> Clouds:
        """Views of rows `(N, length)`."""
        ends = np.cumsum([6 * self.surface, 6 * self.points, 3 * self.surface, -(-self.points // 8)])
        surface, points, normals, inside = (
            rows[:, start:end] for start, end in zip([0, *ends[:-1]], ends, strict=True)
        )
        n = len(rows)
        return Clouds(
            surface=surface.view(np.dtype("<i2")).reshape(n, self.surface, 3),
            normals=normals.view(np.int8).reshape(n, self.surface, 3),
            points=points.view(np.dtype("<i2")).reshape(n, self.points, 3),
            inside=inside,
        )


def in_steps(coordinates: Array) -> npt.NDArray[np.int16]:
    """Coordinates in [-1, 1], quantised to multiples of 1/32767."""
    return np.rint(coordinates * STEPS).astype(np.dtype("<i2"))


def points_around(surface: Array, n: int, draw: np.random.Generator) -> Array:
    """Points `(n, 3)` in [-1, 1]: first uniform ones, then surface points with small noise, then with larger noise.

    Points outside of the cube are reflected at its faces.

    Args:
        surface: `(M, 3)`, uniform samples of the surface.
        n: number of points.
        draw: random generator.
    """
    near = n // 2
    noise = draw.standard_normal((near, 3)) * np.repeat(NOISE, (near - near // 2, near // 2))[:, None]
    moved = surface[np.arange(near) % len(surface)] + noise
    moved = np.where(np.abs(moved) > 1, np.sign(moved) * 2 - moved, moved)
    return np.concatenate([draw.uniform(-1, 1, (n - near, 3)), moved.clip(-1, 1)])


def point_weights(n: int) -> npt.NDArray[np.float32]:
    """Weights `(n,)`, of mean 1, that make means over the points of `points_around` means over [-1, 1]^3."""
    near = n // 2
    return np.repeat(np.array([n / (n - near), 0.0], dtype=np.float32), (n - near, near))
