"""Conversion of pictures to 8-bit sRGB: depths beyond 8 bits, colour profiles, and transparency."""

from __future__ import annotations

import io
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms, ImageColor

from ddmi_core.errors import DataError
from ddmi_core.parts import Change
from ddmi_image.declared_colours import UNKNOWN_SPACE, rawmode

BITS_16 = 65535
DARK_16 = (1 << 14) - 1  # 16-bit grey without a value above this may hold 10, 12 or 14 bits
SAME = 2  # of 255: profiles that change no colour by more are sRGB
SET_WHITE = "--set domain.white=N, the value of white"

_MODES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}  # by colour space of a profile


def to_srgb(image: Image.Image, name: str, white: float = 0.0) -> tuple[Image.Image, list[Change]]:
    """Convert any of Pillow's modes to 8-bit RGB, or to RGBA if a part of the picture is transparent.

    Profiles, embedded or made by `declare`, are converted to sRGB by LittleCMS, with relative colorimetric intent.
    Greys of more than 8 bits are scaled so that white is 255: see `ImageSettings.white`.

    Args:
        image: decoded.
        name: for messages.
        white: value of white of greys of more than 8 bits; 0 for the one that the file declares.

    Returns:
        The picture, and the changes.

    Raises:
        DataError: for greys whose white is unknown, or that have values which are negative or not finite.
    """
    changes: list[Change] = []
    if image.mode == "F" or image.mode.startswith("I"):
        colour, alpha = _grey(image, name, white, changes)
    else:
        if ";16" in rawmode(image):
            changes.append(Change("rounded from 16 to 8 bits"))
        colour, alpha = _layers(image)
    colour = _managed(colour, image.info.get("icc_profile"), changes)
    if unknown := image.info.get(UNKNOWN_SPACE):
        changes.append(Change(f"read as sRGB, although {unknown}", fix="convert them to sRGB, or embed their profile"))
    if alpha is None or alpha.getextrema() == (255, 255):
        return colour, changes
    colour.putalpha(alpha)
    return colour, changes


def over(image: Image.Image, background: str) -> tuple[Image.Image, list[Change]]:
    """Lay a transparent picture over a colour, given by a name or as `#rrggbb`: RGB."""
    if image.mode != "RGBA":
        return image, []
    opaque = np.asarray(image.getchannel("A"), dtype=np.float64).mean() / 255
    flat = Image.alpha_composite(Image.new("RGBA", image.size, ImageColor.getrgb(background)), image).convert("RGB")
    return flat, [Change(f"laid over {background} where transparent", round(1 - opaque, 4), "of the area")]


def _grey(image: Image.Image, name: str, white: float, changes: list[Change]) -> tuple[Image.Image, Image.Image | None]:
    """Greys of more than 8 bits as 8-bit grey, with the alpha of a transparent value."""
    values = np.asarray(image).astype(np.float64)
    if not np.isfinite(values).all():
        raise DataError(f"{name}: has values that are not finite; repair it, or remove it")
    if values.min() < 0 and not white:
        raise DataError(f"{name}: has negative values, down to {values.min():g}; convert it to 8 or 16 bits")
    top = white or _white(image, values, name, changes)
    scaled = np.rint(np.clip(values / top, 0, 1) * 255).astype(np.uint8)
    changes.append(Change(f"scaled from grey of more than 8 bits, with white at {top:g}"))
    clear = image.info.get("transparency")
    alpha = Image.fromarray(np.where(values == clear, 0, 255).astype(np.uint8)) if isinstance(clear, int) else None
    return Image.fromarray(scaled), alpha


def _white(image: Image.Image, values: npt.NDArray[np.float64], name: str, changes: list[Change]) -> float:
    """The value of white: what the file declares, or else the full range of its type."""
    largest, declared = float(values.max()), image.info.get("white", 0.0)
    low_bits = image.info.get("shifted") and largest <= declared and (values % 2 ** (16 - image.info["shifted"])).any()
    if declared and (not image.info.get("shifted") or low_bits):
        return float(declared)
    if image.mode.startswith("I;16"):
        if largest <= DARK_16 and not declared:
            what = "of 16-bit grey that use less than a quarter of the range, so perhaps of 10, 12 or 14 bits"
            changes.append(Change(what, largest, "at most", fix=f"if they look too dark: {SET_WHITE}"))
        return BITS_16
    kind = "floating-point greys" if image.mode == "F" else "32-bit greys"
    whole = image.mode == "I" or not (values % 1).any()
    tops = [top for top, fits in ((1.0, image.mode == "F"), (255.0, whole), (float(BITS_16), whole)) if fits]
    for top in tops:
        if largest <= top:
            what = f"of {kind}, with white taken as {top:g}"
            changes.append(Change(what, largest, "at most", fix=f"if that is wrong: {SET_WHITE}"))
            return top
    raise DataError(f"{name}: {kind} up to {largest:g}, of which the value of white is unknown. Fix: {SET_WHITE}")


def _layers(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """Colour in one of the modes of profiles, and alpha."""
    clear = image.info.get("transparency")
    if isinstance(clear, tuple) and ";16" in rawmode(image):  # Pillow keeps the high bytes of values, not of this one
        image.info["transparency"] = tuple(value >> 8 for value in clear)
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or clear is not None:
        layered = image.convert("RGBA")
        return layered.convert("RGB"), layered.getchannel("A")
    if image.mode in ("L", "CMYK"):
        return image, None
    return image.convert("L" if image.mode == "1" else "RGB"), None


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
