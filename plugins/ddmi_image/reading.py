"""Reading of a picture file as a square of upright 8-bit RGB, with limits on its size."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps

from ddmi_core.errors import DataError
from ddmi_core.parts import damaged

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff")
SMALLEST_SIDE = 8
LARGEST_SIDE = 20_000
MOST_PIXELS = 170_000_000

_RESIZE = Image.Resampling.LANCZOS


def shorter_side(source: Path | BinaryIO, name: str) -> int:
    """The shorter side in pixels, from the header alone.

    Raises:
        DataError: if it is not a picture, or is beyond a limit.
    """
    with _opened(source, name) as image:
        return min(image.size)


def read_square(source: Path | BinaryIO, name: str, size: int) -> Image.Image:
    """Read a picture, crop it to its central square and resize it to `size` x `size`, 8-bit RGB.

    EXIF orientation is applied, transparency is composited over white, and an animation gives its first frame.
    Greyscale, 16-bit, palette and CMYK pictures become RGB. Embedded colour profiles are ignored.

    Args:
        source: path, or open file.
        name: name for messages.
        size: width and height.

    Raises:
        DataError: if it is not a picture, is damaged, or is beyond a limit.
    """
    with _opened(source, name) as image:
        image.draft(None, (2 * size, 2 * size))  # decodes large JPEGs smaller
        image.load()
        upright = eight_bit_rgb(ImageOps.exif_transpose(image), name)
    side = min(upright.size)
    left, top = (upright.width - side) // 2, (upright.height - side) // 2
    square = upright.crop((left, top, left + side, top + side))
    return square if side == size else square.resize((size, size), _RESIZE, reducing_gap=3.0)


def eight_bit_rgb(image: Image.Image, name: str) -> Image.Image:
    """Convert any of Pillow's modes to 8-bit RGB, with transparency over white.

    Raises:
        DataError: for floating-point values and integers beyond 16 bits, whose range is unknown.
    """
    if image.mode.startswith("I"):
        values = np.asarray(image).astype(np.int64)
        if values.min() < 0 or values.max() > 65535:
            raise DataError(f"{name}: its pixels go beyond 16 bits; convert it to an 8- or 16-bit picture")
        return Image.fromarray(((values + 128) // 257).astype(np.uint8)).convert("RGB")
    if image.mode == "F":
        raise DataError(f"{name}: floating-point pictures have no known range; convert it to 8 or 16 bits")
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        layered = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layered.size, "white"), layered).convert("RGB")
    return image.convert("RGB")


@contextmanager
def _opened(source: Path | BinaryIO, name: str) -> Iterator[Image.Image]:
    """Open a picture and check the limits; errors of the decoder become a DataError with the name."""
    with damaged(name, f"a picture in a known format ({', '.join(SUFFIXES)})"):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", Image.DecompressionBombWarning)
                image = Image.open(source)
            with image:
                _check_limits(image.size, name)
                yield image
        except Image.DecompressionBombError as error:
            raise DataError(
                f"{name}: too large; the limit is {MOST_PIXELS:,} pixels and {LARGEST_SIDE:,} a side ({error})"
            ) from error


def _check_limits(size: tuple[int, int], name: str) -> None:
    width, height = size
    if min(size) < SMALLEST_SIDE:
        raise DataError(f"{name}: {width} x {height} pixels is too small; each side needs {SMALLEST_SIDE} or more")
    if max(size) > LARGEST_SIDE or width * height > MOST_PIXELS:
        raise DataError(
            f"{name}: {width} x {height} pixels is too large; "
            f"the limit is {MOST_PIXELS:,} pixels and {LARGEST_SIDE:,} a side"
        )
