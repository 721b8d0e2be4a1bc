"""Centre crop of a frame to a square, and its resize: the same for frames of videos and for folders of pictures."""

from __future__ import annotations

import numpy as np
from PIL import Image

from ddmi_video.reading.display_orientation import Pixels

_RESIZE = Image.Resampling.LANCZOS


def centre_crop(frame: Pixels | Image.Image, side: int, aspect: float = 1.0) -> Pixels:
    """Crop an upright frame to its central square and resize it with antialiasing: `(3, side, side)`.

    Args:
        frame: `(H, W, 3)`, or an RGB picture.
        side: rows and columns of the result.
        aspect: width of a pixel over its height.
    """
    picture = frame if isinstance(frame, Image.Image) else Image.fromarray(np.ascontiguousarray(frame))
    # in pixels, a square on the screen is `aspect` times as high as wide
    width, height = min(picture.width, picture.height / aspect), min(picture.height, picture.width * aspect)
    left, top = (picture.width - width) / 2, (picture.height - height) / 2
    if aspect == 1.0:
        left, top = int(left), int(top)
    box = (left, top, left + width, top + height)
    same = (width, height) == (side, side)
    small = picture.crop(box) if same else picture.resize((side, side), _RESIZE, box=box, reducing_gap=3.0)
    return np.asarray(small).transpose(2, 0, 1)
