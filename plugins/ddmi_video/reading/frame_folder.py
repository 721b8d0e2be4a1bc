"""Folders of numbered pictures, read as videos of constant frame rate."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image

from ddmi_core.errors import DataError
from ddmi_core.parts import Change, Entry, damaged, laid_over, read_srgb
from ddmi_video.reading.centre_crop import centre_crop
from ddmi_video.reading.display_orientation import Pixels
from ddmi_video.reading.limits import TooShortError, check_size, size_changes

QUARTER_TURNS = (5, 6, 7, 8)  # EXIF orientations that exchange width and height


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
        self.changes: list[Change] = []  # of the colours of the frames that `frames_at` has read last
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
        self.changes = []
        return np.stack([self._cropped(self.entries[min(i, len(self.entries) - 1)], side) for i in numbers])

    def upright_size(self) -> tuple[int, int]:
        """Height and width of the first picture, upright.

        Raises:
            DataError: if it cannot be read.
        """
        with self._opened(self.entries[0]) as picture:
            turned = picture.getexif().get(ExifTags.Base.Orientation, 1) in QUARTER_TURNS
            return (picture.width, picture.height) if turned else (picture.height, picture.width)

    def close(self) -> None:
        """Do nothing: no file stays open between pictures."""

    @contextmanager
    def _opened(self, entry: Entry) -> Iterator[Image.Image]:
        with (
            entry.opened() as file,
            damaged(entry.name, "a picture in a known format", "copy it again, or remove it"),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(file) as picture:
                check_size(*picture.size, entry.name)
                yield picture

    def _cropped(self, entry: Entry, side: int) -> Pixels:
        with self._opened(entry) as picture:
            size = (picture.height, picture.width)
            if self.size not in (None, size):
                raise size_changes(entry.name, self.size or size, size, "save all pictures of its folder at one size")
            self.size = size
            upright, of_colours = read_srgb(picture, entry.name)
        flat, of_background = laid_over(upright, self.background)
        self.changes += [*of_colours, *of_background]
        return centre_crop(flat, side)


def _natural(entry: Entry) -> list[tuple[int, int | str]]:
    """Natural sort key: `frame_10` comes after `frame_9`."""
    parts = re.split(r"(\d+)", entry.name.lower())
    return [(0, int(part)) if part.isdecimal() else (1, part) for part in parts if part]
