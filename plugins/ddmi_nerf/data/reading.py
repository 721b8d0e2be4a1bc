"""Reading of images: premultiplied colour and opacity, undistorted, cropped and resized with their cameras."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
from attrs import frozen
from PIL import ExifTags, Image

from ddmi_core.errors import DataError
from ddmi_core.parts import Change, damaged, laid_over, read_srgb
from ddmi_nerf.cameras.camera import Camera, Shot
from ddmi_nerf.cameras.intrinsics import Header
from ddmi_nerf.cameras.lens import Lens

MOST_PIXELS = 100_000_000
WHITE = 253  # least value of all channels of white pixels without noise
FARTHEST_WHITE = 64  # below white, of a background with noise
LEAST_WHITE, MOSTLY = 0.05, 0.5  # shares of the border's pixels
LOSSY_COLOURS = 24.0  # below white, beside the edge of a colour
FINER = 8  # pixels along each side of one that is read, in which a lens is undone
COLOURED = 32  # difference of a pixel's channels that no compression of greys makes
DEEP = 65535  # white of masks of 16 bits, unless they have no value above 255
BAND = 128  # rows that are undistorted at once

Pixels = npt.NDArray[np.uint8]


@frozen(eq=False)
class Reading:
    """The pixels of a view, and how they were told from the background.

    Args:
        pixels: `(size, size, 4)`, premultiplied colour, and opacity.
        below_white: with the opacity `white`: how far below 255 the background may be; otherwise 0.
        changes: of colours and orientation.
    """

    pixels: Pixels
    below_white: float = 0.0
    changes: tuple[Change, ...] = ()


def picture_header(file: BinaryIO, name: str) -> Header:
    """Size and EXIF orientation, from the header only.

    Raises:
        DataError: if the file is not an image, or too large.
    """
    with _opened(file, name) as image:
        return Header(*image.size, _orientation(image))


def read_picture(
    file: BinaryIO,
    name: str,
    size: int,
    opacity: str,
    *,
    shot: Shot | None = None,
    mask: npt.NDArray[np.uint8] | None = None,
) -> Reading:
    """Read the central square of an image.

    Args:
        file: image; its EXIF orientation is ignored unless the view is turned by it.
        name: for messages.
        size: pixels along each side; each is the mean over its area.
        opacity: source of the opacity: `alpha`, `white` or `full`, see `NerfSettings`.
        shot: the view of the image, with the distortion to undo; none by default.
        mask: `(H, W)`, opacity of the pixels; the alpha channel multiplies it. It replaces `white` and `full`.

    Raises:
        DataError: if the file is not an image, is damaged, lacks a required alpha channel, has no white background
            although it should have, or has greys whose white is unknown.
    """
    with _opened(file, name) as image:
        noise = _lossy_noise(image, file)
        layered = "A" in image.getbands() or "a" in image.getbands() or "transparency" in image.info
        mode = image.mode
        coloured, changes = read_srgb(image, name, upright=shot is not None and shot.turned)
    if opacity != "alpha" and mask is None:
        coloured, of_background = laid_over(coloured, "white")
        changes += of_background
    straight = np.array(coloured.convert("RGBA"), dtype=np.float32)
    if opacity == "alpha" and mask is None and not layered:
        white = _near_white(_ring(straight)).mean() > MOSTLY
        raise DataError(
            f"{name}: no alpha channel ({mode}) to separate the object from the background; {_advice(white)}"
        )
    if mask is not None:
        straight[..., 3] *= mask.astype(np.float32) / 255
    values = np.concatenate([straight[..., :3] * (straight[..., 3:] / 255), straight[..., 3:]], axis=-1)
    below = 0.0
    if opacity == "white" and mask is None:
        below = _below_white(_ring(values), noise, name)
        values[(values[..., :3] >= 255 - below).all(axis=-1)] = 0
    left, top, side = square = _square(values.shape[1], values.shape[0])
    if shot is None or shot.lens is None:
        values = values[top : top + side, left : left + side]
    else:
        clamped = opacity == "full"
        values = undistorted(values, shot.camera, shot.lens, square, least=FINER * size, clamped=clamped)
    return Reading(_resized(values, size), below, tuple(changes))


def read_mask(file: BinaryIO, name: str, width: int, height: int) -> tuple[npt.NDArray[np.uint8], tuple[Change, ...]]:
    """Read a mask: opacity `(height, width)`, 255 for the object; one of another size but the same shape is resized.

    It is the alpha channel if that is not the same everywhere, or else the grey or the colours: of two values, the
    darker one is the background; several greys are opacities.

    Returns:
        The mask, and what was changed.

    Raises:
        DataError: if the file is not an image, is damaged, has another aspect ratio, or has several colours.
    """
    with _opened(file, name) as image:
        if abs(image.width * height - image.height * width) > max(*image.size, width, height):
            raise DataError(
                f"{name}: the mask has {image.width} x {image.height} pixels, its picture {width} x {height}, another "
                "aspect ratio; give a mask of the size of the picture"
            )
        layered = "A" in image.getbands() or "transparency" in image.info
        alpha = np.asarray(image.convert("RGBA").getchannel("A")) if layered else np.zeros(1, np.uint8)
        changes = list[Change]()
        if np.ptp(alpha):
            values = alpha
            changes.append(Change("masked by the alpha channel of masks"))
        else:
            values = np.asarray(image) if image.mode.startswith("I") else _brightness(image, name)
    top = DEEP if values.max() > 255 else 255
    levels = np.unique(values)
    if levels.max() == 1 or (len(levels) == 2 and levels[1] >= 2 * levels[0]):
        grey = np.where(values == levels.max(), 255, 0).astype(np.uint8)
        if levels.max() not in (0, 1, top) or levels.min() != 0:
            changes.append(Change("masked by masks of two values that are not black and white"))
    else:
        grey = np.rint(values / top * 255).clip(0, 255).astype(np.uint8)
    resized = np.array(Image.fromarray(grey).resize((width, height), Image.Resampling.NEAREST))
    return resized, tuple(changes)


def _brightness(image: Image.Image, name: str) -> npt.NDArray[np.uint8]:
    """The brightness of a mask's pixels; of two colours, in which masks of classes are drawn, any that differ."""
    if image.mode in ("1", "L", "LA", "La"):
        return np.asarray(image.convert("L"))
    colours = np.asarray(image.convert("RGB"))
    grey = np.asarray(image.convert("RGB").convert("L"))
    if np.ptp(colours.astype(np.int64), axis=-1).max() <= COLOURED:
        return grey
    found = np.unique(colours.reshape(-1, 3), axis=0)
    if len(found) > 2:
        raise DataError(
            f"{name}: the mask has {len(found)} colours, which tell no opacity. Fix: save it in grey, white for the "
            "object"
        )
    darker = min(found.tolist(), key=sum)
    return np.where((colours == darker).all(axis=-1), 0, 255).astype(np.uint8)


def undistorted(
    values: npt.NDArray[np.float32],
    camera: Camera,
    lens: Lens,
    square: tuple[int, int, int],
    *,
    least: int = MOST_PIXELS,
    clamped: bool = False,
) -> npt.NDArray[np.float32]:
    """The part of an image that a pinhole camera would show, by bilinear interpolation: `(n, n, 4)`.

    Args:
        values: `(H, W, 4)`, from the lens.
        camera: of the image.
        lens: its distortion.
        square: left edge, top edge and side of the part.
        least: a larger side may be reduced to this many pixels or more, as means of blocks.
        clamped: beyond the image, continue its border; otherwise it is transparent there.
    """
    left, top, side = square
    block = max(1, side // least)
    values = _blocks(values, block)
    high, wide = values.shape[:2]
    count = side // block
    places = (np.arange(count) + 0.5) * side / count
    result = np.zeros((count, count, values.shape[2]), np.float32)
    x = (places + left - camera.cx) / camera.fx
    for start in range(0, count, BAND):
        rows = np.arange(start, min(start + BAND, count))
        y = (places[rows] + top - camera.cy) / camera.fy
        across, down = lens.distorted(*np.meshgrid(x, y))
        column = (across * camera.fx + camera.cx) / block - 0.5
        row = (down * camera.fy + camera.cy) / block - 0.5
        inside = (column > -1) & (column < wide) & (row > -1) & (row < high)
        column, row = column.clip(-1, wide), row.clip(-1, high)
        first_column, first_row = np.floor(column).astype(int), np.floor(row).astype(int)
        for below in (0, 1):
            for right in (0, 1):
                at = (first_row + below).clip(0, high - 1), (first_column + right).clip(0, wide - 1)
                weight = np.abs(1 - below - (row - first_row)) * np.abs(1 - right - (column - first_column))
                result[rows] += weight[..., None].astype(np.float32) * values[at]
        if not clamped:
            result[rows] *= inside[..., None]
    return result


def _blocks(values: npt.NDArray[np.float32], block: int) -> npt.NDArray[np.float32]:
    """Means of blocks of pixels; those at the right and lower edges repeat the last pixels."""
    if block == 1:
        return values
    high, wide = values.shape[:2]
    values = np.pad(values, ((0, -high % block), (0, -wide % block), (0, 0)), mode="edge")
    result: npt.NDArray[np.float32] = values.reshape(
        values.shape[0] // block, block, values.shape[1] // block, block, -1
    ).mean(axis=(1, 3))
    return result


def _orientation(image: Image.Image) -> int:
    """EXIF orientation; 1 if there is none, or none that is valid."""
    found = image.getexif().get(ExifTags.Base.Orientation, 1)
    return found if found in range(1, 9) else 1


def _ring(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """How far the pixels of the border are below white, `(N,)`."""
    border = np.concatenate([values[0], values[-1], values[1:-1, 0], values[1:-1, -1]])
    result: npt.NDArray[np.float32] = 255 - border[:, :3].min(axis=1)
    return result


def _near_white(below: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    return below < FARTHEST_WHITE


def _below_white(ring: npt.NDArray[np.float32], noise: float, name: str) -> float:
    """How far below white the background may be, from the noise of the border and of the compression.

    Raises:
        DataError: if hardly any pixel of the border is close to white.
    """
    near = ring[_near_white(ring)]
    if len(near) < LEAST_WHITE * len(ring):
        raise DataError(
            f"{name}: the background is not white: {len(near) / len(ring):.0%} of the pixels at its border are; "
            f"{_advice(False)}"
        )
    if np.median(near) > 255 - WHITE:  # otherwise what is darker may be the object
        noise = max(noise, 2.5 * float(np.percentile(near, 90)))
    return min(max(noise, 255.0 - WHITE), float(FARTHEST_WHITE))


def _lossy_noise(image: Image.Image, file: BinaryIO) -> float:
    """By how much the white of a lossy file may be wrong; 0 for lossless ones.

    For JPEG, it is four standard deviations of the rounding of its coefficients, but both formats usually store colours
    at half the resolution, so that those of an edge reach over it at any quality.
    """
    tables = getattr(image, "quantization", None)
    if tables:
        return max(LOSSY_COLOURS, 4 * float(np.sqrt(np.square(tables[0], dtype=np.float64).mean() / 12)))
    if image.format != "WEBP":
        return 0.0
    place = file.tell()
    file.seek(0)
    lossless = b"VP8L" in file.read(64)
    file.seek(place)
    return 0.0 if lossless else LOSSY_COLOURS


def _advice(white: bool) -> str:
    """How to separate an object from its background."""
    if white:
        return "save PNG files with transparency, or give --set domain.opacity=white for objects on a white background"
    return "save PNG files with transparency, or give masks (mask_path of frames; the folder masks of other formats)"


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
    with damaged(name, "an image in a known format", "copy it again"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(file)
        with image:
            if image.width * image.height > MOST_PIXELS:
                raise DataError(
                    f"{name}: {image.width} x {image.height} pixels is too large; the limit is {MOST_PIXELS:,} pixels"
                )
            yield image
