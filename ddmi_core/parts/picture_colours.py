"""Decoding of pictures to upright 8-bit sRGB: depths beyond 8 bits, colour profiles, orientation, and transparency."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, ImageCms, ImageColor, ImageFile, ImageOps

from ddmi_core.errors import DataError
from ddmi_core.parts import declared_colours
from ddmi_core.parts.declared_colours import UNKNOWN_SPACE, declare, rawmode
from ddmi_core.sources.account import Change

PICTURE_MAKERS = (Path(__file__), Path(declared_colours.__file__))  # of the pixels, for `source_digest`

BITS_16 = 65535
DARK_16 = (1 << 14) - 1  # 16-bit grey without a value above this may hold 10, 12 or 14 bits
SAME = 2  # of 255: profiles that change no colour by more are sRGB
CONVERT = "convert it to 8 bits, or to 16 bits with white at 65535"

_OTHERS = {"EPS", "MPEG"}  # a program for Ghostscript, and a kind that is recognised but not decoded
_MODES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}  # by colour space of a profile


@cache
def picture_suffixes() -> tuple[str, ...]:
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


def read_srgb(
    picture: Image.Image, name: str, *, upright: bool = True, white: float = 0.0, set_white: str = CONVERT
) -> tuple[Image.Image, list[Change]]:
    """Decode any of Pillow's modes to 8-bit sRGB, or to RGBA if a part of the picture is transparent.

    Colours that an ICC profile, chunks of PNG (cICP, or gAMA and cHRM) or EXIF (Adobe RGB) declare are converted by
    LittleCMS, with relative colorimetric intent. Greys of more than 8 bits are scaled so that white is 255.

    Args:
        picture: opened, and not decoded yet.
        name: for messages.
        upright: whether to apply the orientation of EXIF.
        white: value of white in greys of more than 8 bits. By default (0) it is what the file declares (SMaxSampleValue
            or bits per sample of a TIFF, sBIT of a PNG), or else 65535 for 16 bits; 255 or 65535 for 32 bits and 1, 255
            or 65535 for floating-point values, by the largest value of the picture, with a warning.
        set_white: what a user can do about greys whose white is unknown, for warnings and errors.

    Returns:
        The picture, and what was changed.

    Raises:
        DataError: for greys whose white is unknown, or that have values which are negative or not finite.
    """
    declare(picture)
    picture.load()
    changes: list[Change] = []
    orientation = picture.getexif().get(ExifTags.Base.Orientation, 1) if upright else 1
    if orientation in range(2, 9):
        picture = ImageOps.exif_transpose(picture)
        changes.append(Change("turned upright as EXIF says", values={"orientation": orientation}))
    if picture.mode == "F" or picture.mode.startswith("I"):
        colour, alpha = _grey(picture, name, white, set_white, changes)
    else:
        if ";16" in rawmode(picture):
            changes.append(Change("rounded from 16 to 8 bits"))
        colour, alpha = _layers(picture)
    colour = _managed(colour, picture.info.get("icc_profile"), changes)
    if unknown := picture.info.get(UNKNOWN_SPACE):
        changes.append(Change(f"read as sRGB, although {unknown}", fix="convert them to sRGB, or embed their profile"))
    if alpha is None or alpha.getextrema() == (255, 255):
        return colour, changes
    colour.putalpha(alpha)
    return colour, changes


def laid_over(picture: Image.Image, background: str) -> tuple[Image.Image, list[Change]]:
    """Lay a transparent picture over a colour, given by a name or as `#rrggbb`: RGB."""
    if picture.mode != "RGBA":
        return picture, []
    opaque = np.asarray(picture.getchannel("A"), dtype=np.float64).mean() / 255
    flat = Image.alpha_composite(Image.new("RGBA", picture.size, ImageColor.getrgb(background)), picture).convert("RGB")
    return flat, [Change(f"laid over {background} where transparent", round(1 - opaque, 4), "of the area")]


def changes_of_pictures(changes: Iterable[Change], what: str) -> list[Change]:
    """The changes of the pictures of one signal as changes of the signal, with the number of pictures.

    Args:
        changes: of all pictures.
        what: the pictures, in the plural: `views`.
    """
    counts = Counter((change.what, change.fix) for change in changes)
    return [Change(f"with {what} {text}", count, what, fix=fix) for (text, fix), count in counts.items()]


def _grey(
    picture: Image.Image, name: str, white: float, set_white: str, changes: list[Change]
) -> tuple[Image.Image, Image.Image | None]:
    """Greys of more than 8 bits as 8-bit grey, with the alpha of a transparent value."""
    values = np.asarray(picture).astype(np.float64)
    if not np.isfinite(values).all():
        raise DataError(f"{name}: has values that are not finite; repair it, or remove it")
    if values.min() < 0 and not white:
        raise DataError(f"{name}: has negative values, down to {values.min():g}; convert it to 8 or 16 bits")
    top = white or _white(picture, values, name, set_white, changes)
    scaled = np.rint(np.clip(values / top, 0, 1) * 255).astype(np.uint8)
    changes.append(Change(f"scaled from grey of more than 8 bits, with white at {top:g}"))
    clear = picture.info.get("transparency")
    alpha = Image.fromarray(np.where(values == clear, 0, 255).astype(np.uint8)) if isinstance(clear, int) else None
    return Image.fromarray(scaled), alpha


def _white(
    picture: Image.Image, values: npt.NDArray[np.float64], name: str, set_white: str, changes: list[Change]
) -> float:
    """The value of white: what the file declares, or else the full range of its type."""
    largest, declared = float(values.max()), picture.info.get("white", 0.0)
    low_bits = (
        picture.info.get("shifted") and largest <= declared and (values % 2 ** (16 - picture.info["shifted"])).any()
    )
    if declared and (not picture.info.get("shifted") or low_bits):
        return float(declared)
    if picture.mode.startswith("I;16"):
        if largest <= DARK_16 and not declared:
            what = "of 16-bit grey that use less than a quarter of the range, so perhaps of 10, 12 or 14 bits"
            changes.append(Change(what, largest, "at most", fix=f"if they look too dark: {set_white}"))
        return BITS_16
    kind = "floating-point greys" if picture.mode == "F" else "32-bit greys"
    whole = picture.mode == "I" or not (values % 1).any()
    tops = [top for top, fits in ((1.0, picture.mode == "F"), (255.0, whole), (float(BITS_16), whole)) if fits]
    for top in tops:
        if largest <= top:
            what = f"of {kind}, with white taken as {top:g}"
            changes.append(Change(what, largest, "at most", fix=f"if that is wrong: {set_white}"))
            return top
    raise DataError(f"{name}: {kind} up to {largest:g}, of which the value of white is unknown. Fix: {set_white}")


def _layers(picture: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """Colour in one of the modes of profiles, and alpha."""
    clear = picture.info.get("transparency")
    if isinstance(clear, tuple) and ";16" in rawmode(picture):  # Pillow keeps the high bytes of values, not of this one
        picture.info["transparency"] = tuple(value >> 8 for value in clear)
    if picture.mode in ("RGBA", "LA", "PA", "La", "RGBa") or clear is not None:
        layered = picture.convert("RGBA")
        return layered.convert("RGB"), layered.getchannel("A")
    if picture.mode in ("L", "CMYK"):
        return picture, None
    return picture.convert("L" if picture.mode == "1" else "RGB"), None


def _managed(colour: Image.Image, profile: bytes | None, changes: list[Change]) -> Image.Image:
    """The colours in sRGB."""
    if profile:
        try:
            space, described = _described(profile)
            wanted = _MODES.get(space, "")
            fits = wanted in ("L", "RGB") if colour.mode == "L" else wanted == colour.mode or _is_grey(wanted, colour)
            if fits:
                return _converted(colour.convert(wanted), profile, described, changes)
            what = f"read without the colour profile, which is for {space} and not for {colour.mode}"
        except (ImageCms.PyCMSError, OSError, ValueError):
            what = "read as sRGB, because of a damaged colour profile"
        changes.append(Change(what, fix="save them again with a valid profile"))
    if colour.mode == "CMYK":
        changes.append(Change("converted from CMYK without a profile"))
    return colour.convert("RGB")


def _is_grey(wanted: str, colour: Image.Image) -> bool:
    """Whether RGB layers are those of a grey picture, whose profile is for grey."""
    if wanted != "L" or colour.mode != "RGB":
        return False
    red, green, blue = (np.asarray(band) for band in colour.split())
    return bool((red == green).all() and (red == blue).all())


def _converted(colour: Image.Image, profile: bytes, described: str, changes: list[Change]) -> Image.Image:
    transform = _transform(profile, colour.mode)
    if transform is None:
        return colour.convert("RGB")
    changes.append(Change(f"converted to sRGB from {described}"))
    converted = ImageCms.applyTransform(colour, transform)
    if converted is None:  # only in place
        raise ValueError("no picture")
    return converted


@lru_cache(maxsize=64)
def _described(profile: bytes) -> tuple[str, str]:
    """Colour space and name of a profile."""
    opened = ImageCms.ImageCmsProfile(io.BytesIO(profile)).profile
    text = (opened.profile_description or "a profile without a name").strip()
    return opened.xcolor_space.strip(), "".join(c for c in text if c.isprintable())


@lru_cache(maxsize=64)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """From a profile to sRGB; None if that changes next to nothing."""
    opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
    transform = ImageCms.buildTransform(opened, ImageCms.createProfile("sRGB"), mode, "RGB", intent)
    if mode == "CMYK":
        return transform
    steps = np.array(list(_colours()), dtype=np.uint8)[None]
    probe = Image.fromarray(steps).convert(mode)
    before = np.asarray(probe.convert("RGB"), dtype=np.int64)
    after = np.asarray(ImageCms.applyTransform(probe, transform), dtype=np.int64)
    return None if np.abs(after - before).max() <= SAME else transform


def _colours() -> Iterator[tuple[int, int, int]]:
    """A grid of colours, to compare profiles."""
    levels = (0, 32, 96, 160, 224, 255)
    yield from ((red, green, blue) for red in levels for green in levels for blue in levels)
