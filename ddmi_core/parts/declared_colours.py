"""What picture files declare about their values: depth, white, and colour spaces without an ICC profile."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import IO

import numpy as np
import numpy.typing as npt
from attrs import astuple, frozen
from PIL import ExifTags, Image

# TIFF 6.0, sections 8 and 19
_BITS, _LARGEST = 258, 341  # BitsPerSample, SMaxSampleValue

UNKNOWN_SPACE = "unknown_space"  # in `picture.info`: what the file says of a colour space that is not known here
EXIF_FORMATS = ("JPEG", "MPO", "TIFF", "WEBP")

BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
D50 = np.array([0.9642, 1.0, 0.8249])
SRGB_CURVE = 0.0


@frozen
class Primaries:
    """Chromaticities of an RGB space, times 100,000, in the order of the PNG chunk cHRM."""

    white_x: float
    white_y: float
    red_x: float
    red_y: float
    green_x: float
    green_y: float
    blue_x: float
    blue_y: float

    @property
    def white(self) -> npt.NDArray[np.float64]:
        """X, Y and Z of white, with Y = 1."""
        return _xyz(self.white_x, self.white_y)

    def to_xyz(self) -> npt.NDArray[np.float64]:
        """Matrix `(3, 3)` from linear light to X, Y and Z."""
        pairs = ((self.red_x, self.red_y), (self.green_x, self.green_y), (self.blue_x, self.blue_y))
        columns = np.stack([_xyz(*pair) for pair in pairs], axis=1)
        return np.asarray(columns * np.linalg.solve(columns, self.white))

    def is_close(self, other: Primaries) -> bool:
        """Whether all are equal to 0.003, as rounded ones of the same space are."""
        return bool(np.allclose(astuple(self), astuple(other), rtol=0, atol=300))


def _xyz(x: float, y: float) -> npt.NDArray[np.float64]:
    return np.array([x / y, 1, (1e5 - x - y) / y])


SRGB = Primaries(31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
ADOBE_RGB = Primaries(31270, 32900, 64000, 33000, 21000, 71000, 15000, 6000)
ADOBE_GAMMA = 2.19921875
DISPLAY_P3 = Primaries(31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)
BT_2020 = Primaries(31270, 32900, 70800, 29200, 17000, 79700, 13100, 4600)
# code points of ITU-T H.273; curves of cameras (1, 6, 14, 15) are shown as sRGB
CODED_PRIMARIES = {1: SRGB, 9: BT_2020, 12: DISPLAY_P3}
CODED_CURVES = {1: SRGB_CURVE, 4: 2.2, 5: 2.8, 6: SRGB_CURVE, 8: 1.0, 13: SRGB_CURVE, 14: SRGB_CURVE, 15: SRGB_CURVE}


def rawmode(picture: Image.Image) -> str:
    """How the file stores the pixels, in Pillow's words: `RGB;16B`. Known before the picture is decoded only."""
    stored = picture.info.get("rawmode", "")
    if not stored and getattr(picture, "tile", None):
        arguments = picture.tile[0][3]  # type: ignore[attr-defined]
        stored = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    return stored if isinstance(stored, str) else ""


def declare(picture: Image.Image) -> None:
    """Note in `picture.info`, before decoding, what the file says about its values: `rawmode`, `white` and colours.

    Colours that are declared by chunks of PNG (cICP, or gAMA and cHRM) or by EXIF (Adobe RGB, as the design rule for
    camera files names it) become an ICC profile, unless what has precedence over them is there.
    """
    picture.info["rawmode"] = rawmode(picture)
    tags = getattr(picture, "tag_v2", {})
    bits, largest = _first(tags.get(_BITS)), _first(tags.get(_LARGEST))
    chunks = _chunks(picture) if picture.format == "PNG" else {}
    if chunks and picture.mode.startswith("I"):
        bits = chunks[b"sBIT"][0] if b"sBIT" in chunks else 0
        picture.info["shifted"] = bits  # by the specification, the values fill 16 bits nevertheless
    if largest:
        picture.info["white"] = float(largest)
    elif bits and 8 < bits < 16:
        picture.info["white"] = float(2**bits - 1)
    if chunks:
        _declare_png(picture, chunks)
    elif picture.format in EXIF_FORMATS and picture.mode != "CMYK" and "icc_profile" not in picture.info:
        _declare_exif(picture)


def _first(value: object) -> float:
    """A number of a TIFF tag, which may be one for each channel; 0 without any."""
    number = value[0] if isinstance(value, tuple) and value else value
    return float(number) if isinstance(number, int | float) else 0.0


def _chunks(picture: Image.Image) -> dict[bytes, bytes]:
    """The chunks of a PNG before its pixels."""
    file: IO[bytes] | None = getattr(picture, "fp", None)
    found: dict[bytes, bytes] = {}
    if file is None:
        return found
    place = file.tell()
    try:
        file.seek(8)
        while len(head := file.read(8)) == 8 and head[4:] not in (b"IDAT", b"IEND"):
            size = int.from_bytes(head[:4], "big")
            found[head[4:]] = file.read(size + 4)[:size]
        return found
    finally:
        file.seek(place)


def _declare_png(picture: Image.Image, chunks: Mapping[bytes, bytes]) -> None:
    """Colours by chunks, in the order of precedence of the PNG specification (third edition), section 4.3."""
    if len(code := chunks.get(b"cICP", b"")) == 4:
        primaries, curve = CODED_PRIMARIES.get(code[0]), CODED_CURVES.get(code[1])
        if primaries is None or curve is None:
            said = {16: "PQ", 18: "HLG"}.get(code[1], f"primaries {code[0]} and transfer {code[1]}")
            picture.info[UNKNOWN_SPACE] = f"the chunk cICP says {said}"
        elif (primaries, curve) != (SRGB, SRGB_CURVE):
            picture.info["icc_profile"] = matrix_profile("its chunk cICP", primaries, curve)
        else:
            picture.info.pop("icc_profile", None)
        return
    if chunks.keys() & {b"iCCP", b"sRGB"} or not chunks.keys() & {b"gAMA", b"cHRM"}:
        return
    gamma, places = (_whole_numbers(chunks.get(name, b"")) for name in (b"gAMA", b"cHRM"))
    primaries = Primaries(*places) if len(places) == 8 and _plausible(places) else SRGB
    exponent = 1e5 / gamma[0] if len(gamma) == 1 and 1e4 <= gamma[0] <= 1e6 else 0.0
    curve = exponent if exponent and not 2.15 <= exponent <= 2.25 else SRGB_CURVE
    if curve != SRGB_CURVE or not primaries.is_close(SRGB):
        names = " and ".join(name.decode() for name in (b"gAMA", b"cHRM") if name in chunks)
        picture.info["icc_profile"] = matrix_profile(f"its chunks {names}", primaries, curve)


def _declare_exif(picture: Image.Image) -> None:
    """Colours by EXIF 2.3, tag ColorSpace, and DCF 2.0, section 4.6: interoperability index R03 is Adobe RGB."""
    exif = picture.getexif()
    space = exif.get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.ColorSpace)
    if space in (None, 1):
        return
    index = str(exif.get_ifd(ExifTags.IFD.Interop).get(1, "")).strip("\0 ")
    if space == 2 or index == "R03":
        picture.info["icc_profile"] = matrix_profile("Adobe RGB, as EXIF says", ADOBE_RGB, ADOBE_GAMMA)
    else:
        picture.info[UNKNOWN_SPACE] = "EXIF says that it is another space"


def _whole_numbers(content: bytes) -> tuple[int, ...]:
    return struct.unpack(f">{len(content) // 4}I", content[: len(content) // 4 * 4])


def _plausible(places: Sequence[int]) -> bool:
    """Whether chromaticities span a triangle, with white inside."""
    white, red, green, blue = (np.array(places[i : i + 2], dtype=float) for i in (0, 2, 4, 6))
    columns = np.stack([red, green, blue], axis=1)
    corners = np.concatenate([columns, np.full((1, 3), 1e5)])
    if min(red[1], green[1], blue[1], white[1]) <= 0 or abs(np.linalg.det(corners)) < 1e10:
        return False
    return bool((np.linalg.solve(corners, [*white, 1e5]) > 0).all())


def matrix_profile(name: str, primaries: Primaries, curve: float) -> bytes:
    """An ICC profile, version 2, of an RGB space.

    Args:
        name: its description.
        primaries: with its white, which is adapted to D50 by the Bradford transform, as ICC.1:2022, annex E, says.
        curve: exponent of the display, or `SRGB_CURVE`.
    """
    adapted = np.linalg.solve(BRADFORD, ((BRADFORD @ D50) / (BRADFORD @ primaries.white))[:, None] * BRADFORD)
    columns = (adapted @ primaries.to_xyz()).T
    if curve == SRGB_CURVE:
        x = np.arange(1024) / 1023
        table = np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)
    else:
        table = (np.arange(1024) / 1023) ** curve
    samples = np.rint(table * 65535).astype(">u2").tobytes()
    trc = b"curv\0\0\0\0" + struct.pack(">I", len(table)) + samples
    text = name.encode("ascii", "replace") + b"\0"
    tags = {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", len(text)) + text + b"\0" * 78,
        b"cprt": b"text\0\0\0\0none\0",
        b"wtpt": _icc_xyz(D50),
        **{f"{channel}XYZ".encode(): _icc_xyz(column) for channel, column in zip("rgb", columns, strict=True)},
        **{f"{channel}TRC".encode(): trc for channel in "rgb"},
    }
    table_of_tags, body, place = b"", b"", 132 + 12 * len(tags)
    for tag, content in tags.items():
        table_of_tags += tag + struct.pack(">II", place + len(body), len(content))
        body += content + b"\0" * (-len(content) % 4)
    whole = struct.pack(">I", len(tags)) + table_of_tags + body
    head = struct.pack(">I4sI", 128 + len(whole), b"\0" * 4, 0x02100000) + b"mntrRGB XYZ " + b"\0" * 12 + b"acsp"
    return head + b"\0" * 28 + _icc_xyz(D50)[8:] + b"\0" * 48 + whole


def _icc_xyz(values: npt.ArrayLike) -> bytes:
    return b"XYZ \0\0\0\0" + b"".join(struct.pack(">i", round(value * 65536)) for value in np.asarray(values))
