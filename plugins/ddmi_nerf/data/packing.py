"""Packing of an object's views and points into one row of bytes, for array caches and workers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from attrs import frozen

from ddmi_nerf.cameras.camera import Camera

STEPS = 32767  # quantisation steps of a coordinate from 0 to 1

Rows = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]


@frozen(eq=False)
class Stack:
    """Views and points of N objects, as NumPy views of their rows."""

    to_world: Floats  # (N, V, 3, 4)
    intrinsics: Floats  # (N, V, 4), fx, fy, cx, cy in pixels
    points: npt.NDArray[np.int16]  # (N, P, 3), in steps of 1/32767
    point_colours: Rows  # (N, P, 3)
    pictures: Rows  # (N, V, H, W, 4), premultiplied colour, and opacity


@frozen
class Packing:
    """Layout of a row.

    Args:
        views: number of views of an object.
        size: pixels along each side of an image.
        points: number of surface points.
    """

    views: int
    size: int
    points: int

    @property
    def sizes(self) -> tuple[int, ...]:
        """Bytes of each part of a row, in the order of `Stack`."""
        return (48 * self.views, 16 * self.views, 6 * self.points, 3 * self.points, 4 * self.views * self.size**2)

    @property
    def length(self) -> int:
        """Bytes of a row; a multiple of 4, so that rows are aligned."""
        return -(-sum(self.sizes) // 4) * 4

    def row(
        self, cameras: Sequence[Camera], pictures: Rows, points: npt.NDArray[Any], colours: npt.NDArray[Any]
    ) -> Rows:
        """Pack one object into a row.

        Args:
            cameras: V of them.
            pictures: `(V, H, W, 4)`, premultiplied colour, and opacity.
            points: `(P, 3)`, in [-1, 1].
            colours: `(P, 3)`, in [0, 1].
        """
        parts = [
            np.stack([camera.to_world[:3] for camera in cameras]).astype("<f4").tobytes(),
            np.array([camera.intrinsics for camera in cameras]).astype("<f4").tobytes(),
            np.rint(points * STEPS).astype("<i2").tobytes(),
            np.rint(colours * 255).astype(np.uint8).tobytes(),
            pictures.tobytes(),
        ]
        return np.frombuffer(b"".join(parts).ljust(self.length, b"\0"), dtype=np.uint8)

    def stack(self, rows: npt.NDArray[Any]) -> Stack:
        """The contents of rows `(N, length)`, without a copy."""
        ends = np.cumsum(self.sizes)
        poses, intrinsics, points, colours, pictures = (
            rows[:, start:end] for start, end in zip([0, *ends[:-1]], ends, strict=True)
        )
        n = len(rows)
        return Stack(
            to_world=poses.view(np.dtype("<f4")).reshape(n, self.views, 3, 4),
            intrinsics=intrinsics.view(np.dtype("<f4")).reshape(n, self.views, 4),
            points=points.view(np.dtype("<i2")).reshape(n, self.points, 3),
            point_colours=colours.reshape(n, self.points, 3),
            pictures=pictures.reshape(n, self.views, self.size, self.size, 4),
        )
