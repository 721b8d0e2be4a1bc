"""The data source `folder`: pictures of a folder or zip archive, and single picture files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ddmi_core.api import Split
from ddmi_core.errors import DataError
from ddmi_core.parts import Decoding, Entry, FolderSource, GridSet, GridSignal, required_location
from ddmi_image.packing import Pixels, pack, picture_set, row_bytes
from ddmi_image.reading import SUFFIXES, read_square, shorter_side
from ddmi_image.settings import ImageSettings


def load(location: Path, settings: ImageSettings) -> Split:
    """Pictures of a folder or zip archive; some are held out by a stable hash of their names.

    If all pictures are in two or more sub-folders, these are the classes. Pictures are stored at the largest multiple
    of the native size, up to `settings.detail`, that every picture reaches without enlargement; pictures smaller than
    the native size are enlarged to it. If every picture has a text file beside it (`cat.txt` for `cat.png`), its lines
    are the captions. Pictures whose captions mention left or right are not mirrored.

    Raises:
        DataError: if there is no location, nothing usable in it, or (with `settings.strict`) any file
            that cannot be used.
    """
    return load_all(location, settings).split(settings.held_out)


def load_all(location: Path | None, settings: ImageSettings) -> GridSet:
    """All usable pictures of a folder or zip archive.

    Raises:
        DataError: as `load`.
    """
    location = required_location(location, "pictures")
    folder = FolderSource(location, "pictures", SUFFIXES, settings.strict, settings.classes)
    entries, sides = folder.usable(folder.entries(settings.limit), _shorter_side)
    detail = fitting_detail(sides, settings)
    pixels, kept = folder.decode(entries, _decoding(settings.size, detail))
    names = [entries[i].name for i in kept]
    found = folder.labels(names)
    return picture_set(
        pixels,
        names,
        settings.size,
        detail,
        rows=kept,
        classes=found.classes,
        labels=found.labels,
        mirrored=[settings.augment and may for may in found.mirrorable],
        captions=found.captions,
    )


def read(path: Path, settings: ImageSettings) -> GridSignal:
    """One picture file as a signal with B = 1, at the native size and the larger ones that it reaches.

    Raises:
        DataError: if the file is missing, is not a picture, or is beyond a limit.
    """
    if not path.is_file():
        raise DataError(f"{path}: {'a folder, not a picture file' if path.is_dir() else 'no such file'}")
    detail = fitting_detail([shorter_side(path, str(path))], settings)
    row = pack(read_square(path, str(path), settings.size * detail), settings.size)
    return picture_set(row[None], [path.name], settings.size, detail).batch([0])


def fitting_detail(sides: Sequence[int], settings: ImageSettings) -> int:
    """The largest multiple of the native size, up to `settings.detail`, that all sides reach; at least 1."""
    detail = settings.detail
    while detail > 1 and min(sides) < settings.size * detail:
        detail //= 2
    return detail


def _shorter_side(entry: Entry) -> int:
    with entry.opened() as file:
        return shorter_side(file, entry.name)


def _decoding(size: int, detail: int) -> Decoding:
    """How a picture file becomes a packed row."""

    def read(entry: Entry) -> Pixels:
        with entry.opened() as file:
            return pack(read_square(file, entry.name, size * detail), size)

    return Decoding(row_bytes(size, detail), np.dtype(np.uint8), read, ("image", size, detail))
