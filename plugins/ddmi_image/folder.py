"""Pictures from a folder or zip archive, as a split and, for one file, as a signal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ddmi_core.api import Split
from ddmi_core.errors import DataError
from ddmi_core.parts import (
    Decoding,
    Entry,
    GridSet,
    GridSignal,
    captions_beside,
    choose,
    classes_of,
    decode_files,
    find_files,
    report_unusable,
    tell_sides,
)
from ddmi_image.packing import Pixels, pack, picture_set, row_bytes
from ddmi_image.reading import SUFFIXES, read_square, shorter_side
from ddmi_image.settings import ImageSettings


def load(location: Path, settings: ImageSettings) -> Split:
    """Pictures of a folder or zip archive, some held out by a stable hash of their names.

    If all pictures lie in two or more sub-folders, these are the classes. Pictures are kept at the
    greatest multiple of the native size, up to `settings.detail`, that every one of them fills without
    enlargement; pictures smaller than the native size are enlarged to it. A picture's captions are the lines of the
    text file beside it (`cat.txt` for `cat.png`), if all have one. What these say is left or right is not
    mirrored.

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
    if location is None:
        raise DataError("the source 'folder' needs a folder or zip archive of pictures: --data PATH")
    entries = find_files(location, SUFFIXES, "pictures")
    entries = [entries[i] for i in choose([entry.name for entry in entries], settings.limit)]
    sizes, entries = _usable(location, entries, settings.strict)
    detail = fitting_detail(sizes, settings)
    pixels, problems = decode_files(location, entries, _decoding(settings.size, detail))
    report_unusable(location, problems, settings.strict)
    rows = [i for i in range(len(entries)) if entries[i].name not in problems]
    if not rows:
        raise DataError(f"{location}: none of its pictures ({len(entries)}) can be used")
    names = [entries[i].name for i in rows]
    classes, labels = classes_of(names) if settings.classes else ((), [0] * len(names))
    captions = captions_beside(location, names, SUFFIXES, "pictures")
    mirrored = [settings.augment and not tell_sides(texts) for texts in captions or [()] * len(names)]
    return picture_set(
        pixels,
        names,
        settings.size,
        detail,
        rows=rows,
        classes=classes,
        labels=labels,
        mirrored=mirrored,
        captions=captions,
    )


def read(path: Path, settings: ImageSettings) -> GridSignal:
    """One picture file as a signal with B = 1, with the levels that its size allows.

    Raises:
        DataError: if the file is missing, is not a picture, or is beyond a limit.
    """
    if not path.is_file():
        raise DataError(f"{path}: {'a folder, not a picture file' if path.is_dir() else 'no such file'}")
    detail = fitting_detail([shorter_side(path, str(path))], settings)
    row = pack(read_square(path, str(path), settings.size * detail), settings.size)
    return picture_set(row[None], [path.name], settings.size, detail).batch([0])


def fitting_detail(sides: Sequence[int], settings: ImageSettings) -> int:
    """The greatest multiple of the native size, up to `settings.detail`, that all sides reach; at least 1."""
    detail = settings.detail
    while detail > 1 and min(sides) < settings.size * detail:
        detail //= 2
    return detail


def _usable(location: Path, entries: Sequence[Entry], strict: bool) -> tuple[list[int], list[Entry]]:
    """Shorter sides of the entries whose header can be read, and these entries."""
    sizes, usable, problems = [], [], {}
    for entry in entries:
        try:
            with entry.opened() as file:
                sizes.append(shorter_side(file, entry.name))
            usable.append(entry)
        except DataError as error:
            problems[entry.name] = str(error)
    report_unusable(location, problems, strict)
    if not usable:
        raise DataError(f"{location}: none of its pictures ({len(entries)}) can be used")
    return sizes, usable


def _decoding(size: int, detail: int) -> Decoding:
    """How a picture file becomes a packed row."""

    def read(entry: Entry) -> Pixels:
        with entry.opened() as file:
            return pack(read_square(file, entry.name, size * detail), size)

    return Decoding(row_bytes(size, detail), np.dtype(np.uint8), read, ("image", size, detail))
