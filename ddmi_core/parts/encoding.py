"""Pictures in memory as bytes that browsers show."""

from __future__ import annotations

import io
from collections.abc import Sequence

from PIL import Image

FRAME = 83  # milliseconds: 12 frames a second
FRAME_QUALITY = 90  # of animated WebP, which is half as large as animated PNG for drawings that turn

Drawn = Image.Image | Sequence[Image.Image]  # what `Domain.picture` gives


def encoded(drawn: Drawn, *, small: bool = True) -> tuple[str, bytes]:
    """Media type and bytes: PNG of a picture, WebP of the frames of an animation that repeats.

    Args:
        drawn: a picture, or frames.
        small: whether a smaller PNG file is worth more time.
    """
    stream = io.BytesIO()
    frames = [drawn] if isinstance(drawn, Image.Image) else list(drawn)
    first, *others = frames
    if others:
        first.save(stream, "WEBP", save_all=True, append_images=others, duration=FRAME, loop=0, quality=FRAME_QUALITY)
        return "image/webp", stream.getvalue()
    first.save(stream, "PNG", **({"optimize": True} if small else {"compress_level": 1}))
    return "image/png", stream.getvalue()
