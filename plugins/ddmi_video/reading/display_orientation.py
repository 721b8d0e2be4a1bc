"""Display orientation of video frames: rotation and mirroring from the display matrix, and the pixel aspect ratio."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from attrs import frozen

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

Pixels = npt.NDArray[np.uint8]


@frozen
class Orientation:
    """Size of stored frames, and how to turn them upright: mirror first, then rotate by quarter turns."""

    stored: tuple[int, int]  # height, width
    turns: int = 0  # quarter turns, counterclockwise, 0 to 3
    mirrored: bool = False
    stretch: float = 1.0  # width of a stored pixel over its height

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of upright frames, in pixels."""
        height, width = self.stored
        return (width, height) if self.turns % 2 else (height, width)

    @property
    def aspect(self) -> float:
        """Width of an upright pixel over its height."""
        return 1 / self.stretch if self.turns % 2 else self.stretch

    def upright(self, frame: Pixels) -> Pixels:
        """Turn a stored frame `(H, W, 3)` upright."""
        return np.rot90(frame[:, ::-1] if self.mirrored else frame, self.turns)


def orientation_of(frame: VideoFrame, stretch: float) -> Orientation:
    """The orientation of a decoded frame, from its display matrix; angles are rounded to quarter turns."""
    matrix: Any = frame.side_data.get("DISPLAYMATRIX")
    stored = (frame.height, frame.width)
    if matrix is None:
        return Orientation(stored, stretch=stretch)
    # [x' y'] = [x y] [[a, b], [c, d]], with y down; the third column is perspective
    a, b, _, c, d = (float(value) for value in np.frombuffer(bytes(matrix), dtype=np.int32)[:5])
    mirrored = a * d - b * c < 0
    if mirrored:
        a, b = -a, -b
    turns = round(math.degrees(math.atan2(-b, a)) / 90) % 4
    return Orientation(stored, turns, mirrored, stretch)
