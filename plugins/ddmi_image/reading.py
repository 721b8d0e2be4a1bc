"""Reading of a picture file as a grid of upright 8-bit sRGB, with limits on its size."""

from __future__ import annotations

import struct
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from attrs import frozen
from PIL import ExifTags, Image, ImageColor, TiffImagePlugin, UnidentifiedImageError

from ddmi_core.errors import DataError
from ddmi_core.parts import Change, damaged, laid_over, read_srgb

SMALLEST_SIDE = 8
LARGEST_SIDE = 20_000
MOST_PIXELS = 170_000_000
MOST_CUT = 0.5  # share of a picture; more gives a warning
MOST_ENLARGED = 2.0  # factor

SET_WHITE = "--set domain.white=N, the value of white"
ALPHA = "alpha"  # a background of `Fit`: transparency is kept

_RESIZE = Image.Resampling.LANCZOS
_CUT = "cut to the centre"
_CONTENTS = (  # what files that are no pictures begin with
    (b"PK\x03\x04", "a zip archive"),
    (b"\xff\x0a", "a JPEG XL picture, which Pillow does not read; convert it to PNG"),
    (b"\0\0\0\x0cJXL ", "a JPEG XL picture, which Pillow does not read; convert it to PNG"),
)


@frozen
class Fit:
    """How a picture becomes a grid of 8-bit RGB; see `ImageSettings`."""

    fit: str = "crop"
    background: str = "white"
    white: float = 0.0


def reached_rows(source: Path | BinaryIO, name: str, size: tuple[int, int], fit: str = "crop") -> int:
    """The rows of the largest grid that the picture fills without enlargement, from the header alone.

    Args:
        source: path, or open file.
        name: for messages.
        size: rows and columns that give the proportions of the grid.
        fit: see `ImageSettings`.

    Raises:
        DataError: if it is not a picture, or is beyond a limit.
    """
    rows, columns = size
    with _opened(source, name) as image:
        width, height = image.size
    by_width = width * rows // columns
    return max(height, by_width) if fit == "pad" else min(height, by_width)


def read_square(source: Path | BinaryIO, name: str, size: int, how: Fit | None = None) -> Image.Image:
    """The picture of `read_picture` alone, of `size` x `size` pixels."""
    return read_picture(source, name, (size, size), how or Fit())[0]


def read_picture(
    source: Path | BinaryIO, name: str, size: tuple[int, int], how: Fit
) -> tuple[Image.Image, tuple[Change, ...]]:
    """Read a picture of a given size as 8-bit sRGB.

    EXIF orientation is applied, and an animation gives its first frame. See `read_srgb` for colours.

    Args:
        source: path, or open file.
        name: name for messages.
        size: rows and columns.
        how: proportions, background and white.

    Returns:
        The picture, RGB, or RGBa (premultiplied) if the background is `alpha`; and what was changed.

    Raises:
        DataError: if it is not a picture, is damaged, is beyond a limit, or has greys whose white is unknown.
    """
    rows, columns = size
    with _opened(source, name) as image:
        width, height = image.size
        changes = [Change("reduced to the first frame or page")] if getattr(image, "is_animated", False) else []
        image.draft(None, (2 * columns, 2 * rows))  # decodes large JPEGs smaller
        coloured, of_colours = read_srgb(image, name, white=how.white, set_white=SET_WHITE)
        turned = image.getexif().get(ExifTags.Base.Orientation, 1)
    if turned in (5, 6, 7, 8):
        width, height = height, width
    if how.background == ALPHA:
        layered, of_background = coloured.convert("RGBA").convert("RGBa"), list[Change]()
    else:
        layered, of_background = laid_over(coloured, how.background)
    fitted, of_shape = _fitted(layered, (width, height), size, how)
    if fitted.size != (columns, rows):
        fitted = fitted.resize((columns, rows), _RESIZE, reducing_gap=3.0)
    of_size = _resizing((width, height), size, how)
    return fitted, (*changes, *of_colours, *of_background, *of_shape, *of_size)


def _fitted(
    image: Image.Image, stored: tuple[int, int], size: tuple[int, int], how: Fit
) -> tuple[Image.Image, list[Change]]:
    """The part of a picture, decoded perhaps smaller than it is stored, that has the proportions of the grid."""
    rows, columns = size
    if stored[0] * rows == stored[1] * columns:
        return image, []
    kept = _box(stored, size, min)
    ratio = stored[0] * stored[1] / ((kept[2] - kept[0]) * (kept[3] - kept[1]))
    if how.fit == "stretch":
        return image, [Change(f"stretched to {rows} x {columns}", round(ratio, 4), "times", {"size": list(stored)})]
    if how.fit == "pad":
        left, top, right, bottom = _box(image.size, size, max)
        colour = (0, 0, 0, 0) if image.mode == "RGBa" else ImageColor.getrgb(how.background)
        whole = Image.new(image.mode, (right - left, bottom - top), colour)
        whole.paste(image, (-left, -top))
        what = "padded with transparency" if how.background == ALPHA else f"padded with {how.background}"
        return whole, [Change(what, round(1 - 1 / ratio, 4), "of the area", {"size": list(stored)})]
    cut = 1 - 1 / ratio
    changes = [Change(_CUT, round(cut, 4), "of the area", {"box": list(kept), "size": list(stored)})]
    if cut > MOST_CUT:
        changes.append(Change("cut by more than half", fix="keep whole pictures with --set domain.fit=pad or stretch"))
    return image.crop(_box(image.size, size, min)), changes


def _box(
    stored: tuple[int, int], size: tuple[int, int], choose: Callable[[int, int], int]
) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the centred box with the proportions of a grid: inside (min), or around (max)."""
    (width, height), (rows, columns) = stored, size
    wide, high = choose(width, round(height * columns / rows)), choose(height, round(width * rows / columns))
    left, top = (width - wide) // 2, (height - high) // 2
    return left, top, left + wide, top + high


def _resizing(stored: tuple[int, int], size: tuple[int, int], how: Fit) -> list[Change]:
    scales = [length / wanted for length, wanted in zip(stored, reversed(size), strict=True)]
    scale = max(scales) if how.fit == "pad" else min(scales)
    if scale == 1:
        return []
    if scale > 1:
        return [Change("reduced in size", round(scale, 4), "times", {"size": list(stored)})]
    changes = [Change("enlarged", round(1 / scale, 4), "times", {"size": list(stored)})]
    if scale < 1 / MOST_ENLARGED:
        fix = "leave them out, or lower domain.size: they have no detail of this size"
        changes.append(Change(f"enlarged more than {MOST_ENLARGED:g} times", fix=fix))
    return changes


@contextmanager
def _opened(source: Path | BinaryIO, name: str) -> Iterator[Image.Image]:
    """Open a picture and check the limits; errors of the decoder become a DataError with the name."""
    with damaged(name, "a picture in a known format"):
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
        except UnidentifiedImageError as error:
            if content := _content(source):
                raise DataError(f"{name}: not a picture that can be read: {content}") from error
            raise


def _content(source: Path | BinaryIO) -> str:
    """What a file is that Pillow does not identify; empty if it is unknown."""
    if isinstance(source, Path):
        with source.open("rb") as file:
            return _content(file)
    source.seek(0)
    head = source.read(64)
    if head[:4] in (b"II*\0", b"MM\0*"):
        return _tiff(source)
    if head[4:12] in (b"ftypheic", b"ftypheix", b"ftypmif1", b"ftypheif"):
        return "a HEIC picture, which Pillow does not read; convert it to JPEG or PNG"
    return next((what for begin, what in _CONTENTS if head.startswith(begin)), "")


def _tiff(file: BinaryIO) -> str:
    """The kind of values of a TIFF file."""
    try:
        file.seek(0)
        tags = TiffImagePlugin.ImageFileDirectory_v2(file.read(8))
        file.seek(tags.next)
        tags.load(file)
        bits, form = tags.get(258, (1,)), tags.get(339, (1,))
    except (OSError, SyntaxError, struct.error, KeyError):
        return "a damaged TIFF"
    bits, form = (value if isinstance(value, tuple) else (value,) for value in (bits, form))
    kind = {1: "whole", 2: "signed", 3: "floating-point"}.get(form[0], "unknown")
    samples = f"{len(bits)} x {bits[0]}-bit {kind} values" if len(bits) > 1 else f"{bits[0]}-bit {kind} values"
    return f"a TIFF with {samples} a pixel, which Pillow does not read; convert it to 8 or 16 bits"


def _check_limits(size: tuple[int, int], name: str) -> None:
    width, height = size
    if min(size) < SMALLEST_SIDE:
        raise DataError(f"{name}: {width} x {height} pixels is too small; each side needs {SMALLEST_SIDE} or more")
    if max(size) > LARGEST_SIDE or width * height > MOST_PIXELS:
        raise DataError(
            f"{name}: {width} x {height} pixels is too large; "
            f"the limit is {MOST_PIXELS:,} pixels and {LARGEST_SIDE:,} a side"
        )
