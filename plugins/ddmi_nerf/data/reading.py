"""Reading of images: premultiplied colour and opacity, cropped and resized together with their cameras."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image

from ddmi_core.errors import DataError
from ddmi_core.parts import damaged
from ddmi_nerf.cameras.camera import Camera

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
MOST_PIXELS = 100_000_000
WHITE = 253  # least value of all channels of white pixels

Pixels = npt.NDArray[np.uint8]


def picture_size(file: BinaryIO, name: str) -> tuple[int, int]:
    """Width and height, from the header only.

    Raises:
        DataError: if the file is not an image, or too large.
    """
    with _opened(file, name) as image:
        return image.size


def read_picture(file: BinaryIO, name: str, size: int, opacity: str) -> Pixels:
    """Read the central square of an image: `(size, size, 4)`, premultiplied colour, and opacity.

    Args:
        file: image; EXIF rotation is ignored, because cameras refer to the stored pixels.
        name: for messages.
        size: pixels along each side; each is the mean over its area.
        opacity: source of the opacity: `alpha`, `white` or `full`, see `NerfSettings`.

    Raises:
        DataError: if the file is not an image, is damaged, or lacks a required alpha channel.
    """
    with _opened(file, name) as image:
        layered = "A" in image.getbands() or "a" in image.getbands() or "transparency" in image.info
        if opacity == "alpha" and not layered:
            raise DataError(
                f"{name}: no alpha channel ({image.mode}) to separate the object from the background; save PNG files "
                "with transparency, or give --set domain.opacity=white for objects on a white background"
            )
        straight = np.asarray(_eight_bits(image, name).convert("RGBA"), dtype=np.float32)
    values = np.concatenate([straight[..., :3] * (straight[..., 3:] / 255), straight[..., 3:]], axis=-1)
    if opacity != "alpha":
        values[..., :3] += 255 - values[..., 3:]  # over white
        values[..., 3] = 255
    if opacity == "white":
        values[(values[..., :3] >= WHITE).all(axis=-1)] = 0
    left, top, side = _square(values.shape[1], values.shape[0])
    return _resized(values[top : top + side, left : left + side], size)


def _eight_bits(image: Image.Image, name: str) -> Image.Image:
    """The image with 8 bits a channel; Pillow would clip greys of 16 bits to white.

    Raises:
        DataError: for greys whose value of white is unknown.
    """
    if image.mode.startswith("I;16"):
        values = np.asarray(image).astype(np.int64)
        grey = Image.fromarray(((values + 128) // 257).astype(np.uint8))
        clear = image.info.get("transparency")
        if isinstance(clear, int):
            grey.putalpha(Image.fromarray(np.where(values == clear, 0, 255).astype(np.uint8)))
        return grey
    if image.mode in ("I", "F"):
        raise DataError(f"{name}: greys of 32 bits, of which the value of white is unknown; convert it to 8 or 16 bits")
    return image


def squared(camera: Camera, size: int) -> Camera:
    """The camera of the image that `read_picture` returns."""
    left, top, side = _square(camera.width, camera.height)
    return camera.cropped(left, top, side, side).resized(size, size)


def _square(width: int, height: int) -> tuple[int, int, int]:
    """Left edge, top edge and side of the central square."""
    side = min(width, height)
    return (width - side) // 2, (height - side) // 2, side


def _resized(values: npt.NDArray[np.float32], size: int) -> Pixels:
    """Downscale by area averaging, or upscale bilinearly."""
    how = Image.Resampling.BOX if len(values) >= size else Image.Resampling.BILINEAR
    bands = [
        np.asarray(Image.fromarray(np.ascontiguousarray(values[..., band])).resize((size, size), how))
        for band in range(4)
    ]
    result: Pixels = np.rint(np.stack(bands, axis=-1)).clip(0, 255).astype(np.uint8)
    return result


@contextmanager
def _opened(file: BinaryIO, name: str) -> Iterator[Image.Image]:
    """Open an image; any exception of a decoder becomes a DataError with the file's name."""
    with damaged(name, f"an image in a supported format ({', '.join(SUFFIXES)})", "copy it again"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(file)
        with image:
            if image.width * image.height > MOST_PIXELS:
                raise DataError(
                    f"{name}: {image.width} x {image.height} pixels is too large; the limit is {MOST_PIXELS:,} pixels"
                )
            yield image
