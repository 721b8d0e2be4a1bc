"""Folders of numbered pictures, read as videos of constant frame rate."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from ddmi_core.errors import DataError
from ddmi_core.parts import Entry, damaged
from ddmi_video.reading.centre_crop import centre_crop
from ddmi_video.reading.display_orientation import Pixels
from ddmi_video.reading.limits import TooShortError, check_size, size_changes

SUFFIXES = (".png", ".jpg", ".jpeg")


class FrameFolder:
    """Pictures sorted by name, with numbers by value; it has the interface of `Video`.

    Args:
        entries: the pictures.
        name: of the folder, for messages.
        rate: pictures per second.
        background: colour under transparent parts.

    Raises:
        TooShortError: if there is only one picture.
    """

    missing = ""

    def __init__(self, entries: Sequence[Entry], name: str, rate: float, background: str = "white") -> None:
        self.entries, self.name, self.rate = sorted(entries, key=_natural), name, rate
        self.background = background
        self.size: tuple[int, int] | None = None  # height and width, once a picture has been read
        if len(entries) < 2:
            raise TooShortError(
                f"{entries[0].name}: the only picture of its folder, so nothing moves. Remove this picture, or add the "
                "other frames"
            )

    @property
    def duration(self) -> float:
        """Seconds."""
        return len(self.entries) / self.rate

    def frames_at(self, times: npt.ArrayLike, side: int) -> Pixels:
        """Centre crops of the pictures shown at the given times, `(T, 3, side, side)`; see `Video.frames_at`.

        Raises:
            DataError: if a picture is damaged, or its size differs from that of earlier ones.
        """
        numbers = np.floor(np.asarray(times, dtype=np.float64) * self.rate + 1e-6).astype(np.int64)
        if len(numbers) and (numbers.min() < 0 or numbers.max() > len(self.entries)):
            raise DataError(f"{self.name}: {len(self.entries)} pictures last {self.duration:.3f} s, not long enough")
        return np.stack([self._cropped(self.entries[min(i, len(self.entries) - 1)], side) for i in numbers])

    def close(self) -> None:
        """Do nothing: no file stays open between pictures."""

    def _cropped(self, entry: Entry, side: int) -> Pixels:
        kind = f"a picture ({', '.join(SUFFIXES)})"
        with (
            entry.opened() as file,
            damaged(entry.name, kind, "copy it again, or remove it"),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(file) as picture:
                check_size(*picture.size, entry.name)
                size = (picture.height, picture.width)
                if self.size not in (None, size):
                    raise size_changes(self.name, self.size or size, size)
                self.size = size
                return centre_crop(_rgb(ImageOps.exif_transpose(picture), self.background), side)


def _rgb(picture: Image.Image, background: str) -> Image.Image:
    """Convert to 8-bit RGB, with transparency over a colour."""
    if picture.mode.startswith("I"):
        wide = np.asarray(picture).astype(np.int64)
        return Image.fromarray(((wide + 128) // 257).clip(0, 255).astype(np.uint8)).convert("RGB")
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        layered = picture.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layered.size, background), layered).convert("RGB")
    return picture.convert("RGB")


def _natural(entry: Entry) -> list[tuple[int, int | str]]:
    """Natural sort key: `frame_10` comes after `frame_9`."""
    parts = re.split(r"(\d+)", entry.name.lower())
    return [(0, int(part)) if part.isdecimal() else (1, part) for part in parts if part]
