"""Conversion of decoded frames to 8-bit sRGB: colour matrices, wide gamuts, high dynamic range, and transparency."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from attrs import frozen
from PIL import Image, ImageColor

from ddmi_core.parts import Change
from ddmi_video.reading.display_orientation import Pixels

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

Floats = npt.NDArray[np.float32]

REFERENCE_WHITE = 203.0  # cd/m2, Report ITU-R BT.2408, section 2.1
HLG_PEAK, HLG_GAMMA = 1000.0, 1.2  # cd/m2 of the reference display and its system gamma, BT.2100, table 5
PQ_PEAK = 10_000.0  # cd/m2
KNEE = 0.75  # of white, in linear light; brighter light is compressed
BRIGHTEST = 1000.0  # cd/m2 that become white
DISPLAY_GAMMA = 2.4  # of displays for standard dynamic range, BT.1886
MOST_SD = (576, 1279)  # rows and columns of standard definition
ROWS = 128  # of a frame at a time

# code points of ITU-T H.273
RGB, BT709, UNSPECIFIED, RESERVED, BT601, BT2020 = 0, 1, 2, 3, 5, 9
CURVES = {16: "PQ", 18: "HLG"}
WIDE = {9: "BT.2020", 11: "DCI-P3", 12: "Display P3"}  # primaries
MATRICES = {BT601: "BT.601", BT709: "BT.709", BT2020: "BT.2020"}
CHROMATICITIES = {  # x, y of red, green and blue, H.273, table 2; white is D65
    1: ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060)),
    9: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
    11: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
    12: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
}
D65 = (0.3127, 0.3290)
BT2020_LUMINANCE = (0.2627, 0.6780, 0.0593)


@frozen
class Look:
    """What the settings say about colours; see `VideoSettings`."""

    background: str = "white"
    white: float = REFERENCE_WHITE


@frozen
class FrameColours:
    """How the frames of a stream hold colours."""

    matrix: int = UNSPECIFIED  # code point of the YCbCr matrix; RGB for frames that have none
    assumed: bool = False  # the stream does not say its matrix
    primaries: int = BT709  # code point: BT709, or one of WIDE
    curve: str = ""  # "PQ" or "HLG" in high dynamic range
    alpha: bool = False
    clear: float = 0.0  # transparent share of the first frame

    @property
    def special(self) -> str:
        """Why only PyAV gives the right colours; empty if all back ends do."""
        reasons = {
            "it has high dynamic range": bool(self.curve),
            "it has a wide gamut": self.primaries in WIDE,
            "it does not say its colour matrix": self.assumed and self.matrix != BT601,
            "it has transparency": self.alpha,
        }
        return next((reason for reason, holds in reasons.items() if holds), "")

    def changes(self, look: Look) -> Iterator[Change]:
        """What `converted` does to the frames, for the account of the data."""
        if self.assumed:
            yield Change(f"without a colour matrix, read with that of {MATRICES[self.matrix]}")
        if self.curve:
            what = f"converted to sRGB from {self.curve}, with white at {look.white:g} cd/m2"
            yield Change(what, values={"white": look.white, "knee": KNEE, "brightest": BRIGHTEST})
        if self.primaries in WIDE:
            yield Change(f"converted to sRGB from the primaries of {WIDE[self.primaries]}")
        if self.alpha:
            yield Change(f"laid over {look.background} where transparent", round(self.clear, 4), "of the first frame")


def colours_of(frame: VideoFrame) -> FrameColours:
    """The colours of a stream from its first frame.

    Without a matrix, that of BT.709 is assumed for more than 576 rows or 1279 columns, and that of BT.601 below, as
    players do.
    """
    curve = CURVES.get(int(frame.color_trc or 0), "")
    primaries = int(frame.color_primaries or 0)
    if primaries not in WIDE:
        primaries = BT2020 if curve and primaries in (0, UNSPECIFIED) else BT709
    matrix = int(frame.colorspace or 0)
    coloured = not frame.format.is_rgb and not frame.format.has_palette and len(frame.format.components) > 2
    assumed = coloured and matrix in (RGB, UNSPECIFIED, RESERVED)
    if not coloured:
        matrix = RGB
    elif assumed and primaries == BT2020:
        matrix = BT2020
    elif assumed:
        rows, columns = sorted((frame.height, frame.width))
        matrix = BT709 if rows > MOST_SD[0] or columns > MOST_SD[1] else BT601
    alpha = frame.format.has_palette or any(part.is_alpha for part in frame.format.components)
    clear = 1 - frame.reformat(format="rgba").to_ndarray()[..., 3].mean() / 255 if alpha else 0.0
    return FrameColours(matrix, assumed, primaries, curve, alpha, float(clear))


def converted(frame: VideoFrame, colours: FrameColours, look: Look) -> Pixels:
    """A decoded frame as 8-bit sRGB `(H, W, 3)`.

    Values of standard dynamic range and gamut are kept as they are, by the stream's matrix and range (limited, if it
    does not say so). 8-bit frames with even sides take swscale's default path, on which all its versions agree bit for
    bit; others take the accurate one.

    Wide gamuts are converted in linear light, with the display's curve of BT.1886. High dynamic range becomes light in
    cd/m2 (BT.2100, tables 4 and 5), of which `look.white` is white. Up to three quarters of white it is kept; brighter
    light is compressed, so that 1,000 cd/m2 are 255. Colours outside the gamut of sRGB are cut off.
    """
    from av.video.reformatter import Interpolation as Scale

    wide = bool(colours.curve) or colours.primaries in WIDE
    even = frame.width % 2 == frame.height % 2 == 0
    plain = even and not wide and all(part.bits <= 8 for part in frame.format.components)
    exact = Scale.BILINEAR | Scale.ACCURATE_RND | Scale.FULL_CHR_H_INT
    # planar, as FFmpeg 8.1 converts 10 bits to rgb48 with wrong colours at full chroma resolution
    kind = {(False, False): "rgb24", (False, True): "rgba", (True, False): "gbrp16le", (True, True): "gbrap16le"}
    options: dict[str, Any] = {"interpolation": Scale.BILINEAR if plain else exact}
    if colours.assumed and colours.matrix != BT601:
        options["src_colorspace"] = colours.matrix
    values: Any = frame.reformat(format=kind[wide, colours.alpha], **options).to_ndarray()
    pixels = _in_srgb(values[..., :3], colours, look.white) if wide else np.asarray(values[..., :3], dtype=np.uint8)
    if not colours.alpha:
        return pixels
    alpha = values[..., 3] >> 8 if wide else values[..., 3]
    return over(pixels, alpha.astype(np.uint8), look.background)


def over(pixels: Pixels, alpha: Pixels, background: str) -> Pixels:
    """Lay colours `(H, W, 3)` that are not multiplied by their alpha `(H, W)` over a colour."""
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    flat = Image.new("RGB", picture.size, ImageColor.getrgb(background)[:3])
    flat.paste(picture, mask=Image.fromarray(np.ascontiguousarray(alpha)))
    return np.asarray(flat)


def _in_srgb(values: npt.NDArray[np.uint16], colours: FrameColours, white: float) -> Pixels:
    """16-bit values `(H, W, 3)` of a wide gamut or high dynamic range as 8-bit sRGB."""
    result = np.empty(values.shape, dtype=np.uint8)
    to_light = _light_of(colours.curve)
    matrix = _to_bt709(colours.primaries)
    for row in range(0, len(values), ROWS):
        light = to_light[values[row : row + ROWS]]
        if colours.curve == "HLG":  # the reference display's OOTF, BT.2100, table 5
            luminance = light @ np.asarray(BT2020_LUMINANCE, dtype=np.float32)
            light *= HLG_PEAK * np.power(luminance, HLG_GAMMA - 1)[..., None]
        light = np.maximum(light @ matrix, 0)
        shown = _srgb_curve(_compressed(light / white, white)) if colours.curve else light ** (1 / DISPLAY_GAMMA)
        result[row : row + ROWS] = np.rint(np.minimum(shown, 1) * 255)
    return result


def _compressed(light: Floats, white: float) -> Floats:
    """Light `(..., 3)` above the knee, compressed by its largest value to at most 1, so that hues are kept.

    The curve is that of Reinhard et al., "Photographic Tone Reproduction for Digital Images" (2002), eq. 4, above the
    knee, with slope 1 at it.
    """
    most = np.maximum(light.max(axis=-1, keepdims=True), 1e-6)
    bright = np.clip((most - KNEE) / (1 - KNEE), 0, None)
    top = max((BRIGHTEST / white - KNEE) / (1 - KNEE), 1.0)
    less = KNEE + (1 - KNEE) * np.minimum(bright * (1 + bright / top**2) / (1 + bright), 1)
    return np.asarray(np.where(bright > 0, light * (less / most), light), dtype=np.float32)


def _srgb_curve(light: Floats) -> Floats:
    """Linear light as values of sRGB, IEC 61966-2-1."""
    small = np.minimum(light, 0.0031308)
    return np.asarray(np.where(light <= 0.0031308, 12.92 * small, 1.055 * light ** (1 / 2.4) - 0.055), dtype=np.float32)


@lru_cache(maxsize=4)
def _light_of(curve: str) -> Floats:
    """Light for each 16-bit value `(65536,)`: in cd/m2 for PQ; in [0, 1], of the scene for HLG, else of the display."""
    value = np.arange(65536) / 65535
    if curve == "PQ":  # SMPTE ST 2084; BT.2100, table 4
        m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
        power = value ** (1 / m2)
        light = PQ_PEAK * (np.maximum(power - c1, 0) / (c2 - c3 * power)) ** (1 / m1)
    elif curve == "HLG":  # ARIB STD-B67; BT.2100, table 5
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        light = np.where(value <= 0.5, value**2 / 3, (np.exp((value - c) / a) + b) / 12)
    else:
        light = value**DISPLAY_GAMMA
    return np.asarray(light, dtype=np.float32)


@lru_cache(maxsize=4)
def _to_bt709(primaries: int) -> Floats:
    """Matrix `(3, 3)` from linear light of some primaries to that of BT.709, for products from the right."""
    return np.asarray(np.linalg.solve(_to_xyz(BT709), _to_xyz(primaries)).T, dtype=np.float32)


def _to_xyz(primaries: int) -> npt.NDArray[np.float64]:
    columns = np.array([_xyz(*place) for place in CHROMATICITIES[primaries]]).T
    return np.asarray(columns * np.linalg.solve(columns, _xyz(*D65)))


def _xyz(x: float, y: float) -> npt.NDArray[np.float64]:
    return np.array([x / y, 1, (1 - x - y) / y])
