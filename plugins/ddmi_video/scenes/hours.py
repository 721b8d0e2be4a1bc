"""Colours of the sky, of clouds and of hills by the sun's height."""

from __future__ import annotations

import numpy as np

from ddmi_video.scenes.scene import Doubles

# Degrees above the horizon, then RGB: sky above, sky at the horizon, lit clouds, clouds in shade, hills.
HOURS = np.array(
    [
        [-18, 13, 18, 46, 34, 44, 84, 98, 104, 142, 36, 42, 74, 9, 11, 22],
        [-9, 34, 42, 96, 112, 82, 124, 138, 112, 154, 54, 54, 98, 15, 15, 32],
        [-3, 62, 78, 148, 228, 136, 108, 232, 142, 124, 98, 82, 124, 24, 22, 40],
        [2, 94, 124, 190, 255, 176, 100, 255, 196, 138, 140, 112, 140, 36, 30, 42],
        [9, 104, 154, 216, 252, 214, 158, 255, 232, 200, 160, 148, 168, 44, 46, 50],
        [20, 82, 144, 222, 188, 216, 240, 255, 252, 246, 166, 178, 200, 44, 62, 54],
        [60, 50, 116, 214, 160, 202, 244, 255, 255, 255, 172, 184, 206, 46, 70, 50],
    ],
    dtype=np.float64,
)
PARTS = ("above", "horizon", "lit", "shade", "hills")
LOW_SUN = 14.0  # below this height the tint of a scene shows, in full from half of it
TINTS = {
    "": (1.0, 1.0, 1.0),
    "orange": (1.0, 0.94, 0.72),
    "pink": (1.0, 0.82, 1.12),
    "golden": (1.0, 1.06, 0.86),
}


def colours(heights: Doubles, tint: str) -> dict[str, Doubles]:
    """Colours of each part, `(T, 3)` from 0 to 255.

    Args:
        heights: `(T,)`, of the sun, in degrees.
        tint: what a low sun colours the horizon and the clouds with.
    """
    columns = [np.interp(heights, HOURS[:, 0], HOURS[:, i]) for i in range(1, HOURS.shape[1])]
    table = np.stack(columns, axis=1).reshape(len(heights), len(PARTS), 3)
    share = np.clip(2 - 2 * heights / LOW_SUN, 0, 1)[:, None, None]
    table[:, 1:3] *= 1 + share * (np.array(TINTS[tint]) - 1)
    return dict(zip(PARTS, np.minimum(table, 255).swapaxes(0, 1), strict=True))
