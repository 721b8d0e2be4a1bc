"""Reading of a picture file as a square of upright 8-bit sRGB, with limits on its size."""

from __future__ import annotations

import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import BinaryIO

from attrs import frozen
from PIL import ExifTags, Image, ImageFile, ImageOps, TiffImagePlugin, UnidentifiedImageError

from ddmi_core.errors import DataError
from ddmi_core.parts import Change, damaged
from ddmi_image.colour import declare, over, to_srgb

SMALLEST_SIDE = 8
LARGEST_SIDE = 20_000
MOST_PIXELS = 170_000_000
MOST_CUT = 0.5  # share of a picture; more gives a warning
MOST_ENLARGED = 2.0  # factor

_RESIZE = Image.Resampling.LANCZOS
_OTHERS = {"EPS", "MPEG"}  # a program for Ghostscript, and a kind that is recognised but not decoded
_CONTENTS = (  # what files that are no pictures begin with
    (b"<!DOCTYPE", "a web page"),
    (b"<html", "a web page"),
    (b"%PDF", "a PDF document"),
    (b"version https://git-lfs", "a pointer of Git LFS; get the file with `git lfs pull`"),
    (b"PK\x03\x04", "a zip archive"),
    (b"\xff\x0a", "a JPEG XL picture, which Pillow does not read; convert it to PNG"),
    (b"\0\0\0\x0cJXL ", "a JPEG XL picture, which Pillow does not read; convert it to PNG"),
)


@frozen
class Fit:
    """How a picture becomes a square of 8-bit RGB; see `ImageSettings`."""

    fit: str = "crop"
    background: str = "white"
    white: float = 0.0


@cache
def suffixes() -> tuple[str, ...]:
    """Suffixes of all formats that the installed Pillow decodes, in lower case; common ones first."""
    Image.init()
    common = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff")
    stubs = {name for name, (kind, _) in Image.OPEN.items() if isinstance(kind, type) and _is_stub(kind)}
    others = {
        suffix
        for suffix, name in Image.registered_extensions().items()
        if name in Image.OPEN and name not in stubs | _OTHERS
    }
    return (*common, *sorted(others - set(common)))


def _is_stub(kind: type) -> bool:
    """Whether a format is recognised, but decoded by other programs alone."""
    return issubclass(kind, ImageFile.StubImageFile)


def reached_side(source: Path | BinaryIO, name: str, fit: str = "crop") -> int:
    """The side in pixels of the largest square that the picture fills without enlargement, from the header alone.

    Raises:
        DataError: if it is not a picture, or is beyond a limit.
    """
    with _opened(source, name) as image:
        return max(image.size) if fit == "pad" else min(image.size)


def read_square(source: Path | BinaryIO, name: str, size: int, how: Fit | None = None) -> Image.Image:
    """The picture of `read_picture` alone."""
    return read_picture(source, name, size, how or Fit())[0]


def read_picture(source: Path | BinaryIO, name: str, size: int, how: Fit) -> tuple[Image.Image, tuple[Change, ...]]:
    """Read a picture as `size` x `size` pixels of 8-bit sRGB.

    EXIF orientation is applied, and an animation gives its first frame. See `to_srgb` for colours.

    Args:
        source: path, or open file.
        name: name for messages.
        size: width and height.
        how: shape, background and white.

    Returns:
        The picture, and what was changed.

    Raises:
        DataError: if it is not a picture, is damaged, is beyond a limit, or has greys whose white is unknown.
    """
    with _opened(source, name) as image:
        width, height = image.size
        changes = [Change("reduced to the first frame or page")] if getattr(image, "is_animated", False) else []
        declare(image)
        image.draft(None, (2 * size, 2 * size))  # decodes large JPEGs smaller
        image.load()
        turned = image.getexif().get(ExifTags.Base.Orientation, 1)
        upright = ImageOps.exif_transpose(image)
        if turned in range(2, 9):
            changes.append(Change("turned upright as EXIF says", values={"orientation": turned}))
        coloured, of_colours = to_srgb(upright, name, how.white)
        flat, of_background = over(coloured, how.background)
    if turned in (5, 6, 7, 8):
        width, height = height, width
    square, of_shape = _square(flat, (width, height), how)
    resized = square if square.width == size else square.resize((size, size), _RESIZE, reducing_gap=3.0)
    of_size = _resizing((width, height), size, how)
    return resized, (*changes, *of_colours, *of_background, *of_shape, *of_size)


def _square(image: Image.Image, stored: tuple[int, int], how: Fit) -> tuple[Image.Image, list[Change]]:
    """A square from a picture, decoded perhaps smaller than it is stored."""
    width, height = image.size
    ratio = max(stored) / min(stored)
    if width == height:
        return image, []
    if how.fit == "stretch":
        side = min(image.size)
        change = Change("stretched to a square", ratio, "times", {"size": list(stored)})
        return image.resize((side, side), _RESIZE, reducing_gap=3.0), [change]
    side = max(image.size) if how.fit == "pad" else min(image.size)
    left, top = (width - side) // 2, (height - side) // 2
    if how.fit == "pad":
        whole = Image.new("RGB", (side, side), how.background)
        whole.paste(image, (-left, -top))
        return whole, [Change(f"padded with {how.background} to a square", 1 - 1 / ratio, "of the area")]
    side_stored = min(stored)
    box = [(length - side_stored) // 2 for length in stored]
    values = {"box": [*box, *(edge + side_stored for edge in box)], "size": list(stored)}
    cut = 1 - 1 / ratio
    changes = [Change("cut to the central square", round(cut, 4), "of the area", values)]
    if cut > MOST_CUT:
        changes.append(Change("cut by more than half", fix="keep whole pictures with --set domain.fit=pad or stretch"))
    return image.crop((left, top, left + side, top + side)), changes


def _resizing(stored: tuple[int, int], size: int, how: Fit) -> list[Change]:
    side = max(stored) if how.fit == "pad" else min(stored)
    if side == size:
        return []
    if side > size:
        return [Change("reduced", side / size, "times", {"side": side})]
    changes = [Change("enlarged", size / side, "times", {"side": side})]
    if size / side > MOST_ENLARGED:
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
    if not head:
        return "the file is empty"
    if head[:4] in (b"II*\0", b"MM\0*"):
        return _tiff(source)
    if head[4:12] in (b"ftypheic", b"ftypheix", b"ftypmif1", b"ftypheif"):
        return "a HEIC picture, which Pillow does not read; convert it to JPEG or PNG"
    return next((what for begin, what in _CONTENTS if head.lstrip().lower().startswith(begin.lower())), "")


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
