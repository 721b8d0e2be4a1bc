"""How stored frames become upright ones: turns and mirror images of the display matrix, and the shape of pixels."""

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
class Posture:
    """Stored size of the frames, and what makes them upright: the mirror image first, then quarter turns."""

    stored: tuple[int, int]  # height, width
    turns: int = 0  # quarter turns, counterclockwise, 0 to 3
    mirrored: bool = False
    stretch: float = 1.0  # width of a stored pixel by its height

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of upright frames, in pixels."""
        height, width = self.stored
        return (width, height) if self.turns % 2 else (height, width)

    @property
    def aspect(self) -> float:
        """Width of an upright pixel by its height."""
        return 1 / self.stretch if self.turns % 2 else self.stretch

    def upright(self, frame: Pixels) -> Pixels:
        """An upright frame `(H, W, 3)` from a stored one."""
        return np.rot90(frame[:, ::-1] if self.mirrored else frame, self.turns)


def posture_of(frame: VideoFrame, stretch: float) -> Posture:
    """The posture of a decoded frame, from its display matrix; angles between quarter turns go to the nearest."""
    matrix: Any = frame.side_data.get("DISPLAYMATRIX")
    stored = (frame.height, frame.width)
    if matrix is None:
        return Posture(stored, stretch=stretch)
    # [x' y'] = [x y] [[a, b], [c, d]], y downwards; the third column is about perspective
    a, b, _, c, d = (float(value) for value in np.frombuffer(bytes(matrix), dtype=np.int32)[:5])
    mirrored = a * d - b * c < 0
    if mirrored:
        a, b = -a, -b
    turns = round(math.degrees(math.atan2(-b, a)) / 90) % 4
    return Posture(stored, turns, mirrored, stretch)
