"""Pictures from a folder or zip archive, as a split and, for one file, as a signal."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from ddmi_core.api import Split
from ddmi_core.errors import DataError, counted
from ddmi_image.decoded import decode
from ddmi_image.files import Entry, find_pictures
from ddmi_image.pixel_set import PixelSet, choose, pack, split
from ddmi_image.reading import read_square, shorter_side
from ddmi_image.settings import ImageSettings
from ddmi_image.signal import ImageSignal

SHOWN = 5

log = logging.getLogger(__name__)


def load(location: Path, settings: ImageSettings) -> Split:
    """Pictures of a folder or zip archive, some held out by a stable hash of their names.

    If all pictures lie in two or more sub-folders, these are the classes. Pictures are kept at the
    greatest multiple of the native size, up to `settings.detail`, that every one of them fills without
    enlargement; pictures smaller than the native size are enlarged to it.

    Raises:
        DataError: if there is no location, nothing usable in it, or (with `settings.strict`) any file
            that cannot be used.
    """
    whole = load_all(location, settings)
    return split(whole, whole.names, settings.held_out)


def load_all(location: Path | None, settings: ImageSettings) -> PixelSet:
    """All usable pictures of a folder or zip archive.

    Raises:
        DataError: as `load`.
    """
    if location is None:
        raise DataError("the source 'folder' needs a folder or zip archive of pictures: --data PATH")
    entries = find_pictures(location)
    entries = [entries[i] for i in choose([entry.name for entry in entries], settings.limit)]
    sizes, entries = _usable(location, entries, settings.strict)
    detail = fitting_detail(sizes, settings)
    pixels, problems = decode(location, entries, settings.size, detail)
    _report(location, problems, settings.strict)
    rows = [i for i in range(len(entries)) if entries[i].name not in problems]
    if not rows:
        raise DataError(f"{location}: none of its pictures ({len(entries)}) can be used")
    names = [entries[i].name for i in rows]
    classes, labels = classes_of(names) if settings.classes else ((), [0] * len(names))
    mirrored = [settings.augment] * len(names)
    return PixelSet(pixels, rows, names, settings.size, detail, classes, labels, mirrored)


def read(path: Path, settings: ImageSettings) -> ImageSignal:
    """One picture file as a signal with B = 1, with the levels that its size allows.

    Raises:
        DataError: if the file is missing, is not a picture, or is beyond a limit.
    """
    if not path.is_file():
        raise DataError(f"{path}: {'a folder, not a picture file' if path.is_dir() else 'no such file'}")
    detail = fitting_detail([shorter_side(path, str(path))], settings)
    row = pack(read_square(path, str(path), settings.size * detail), settings.size)
    return PixelSet(row[None], [0], [path.name], settings.size, detail).batch([0])


def fitting_detail(sides: Sequence[int], settings: ImageSettings) -> int:
    """The greatest multiple of the native size, up to `settings.detail`, that all sides reach; at least 1."""
    detail = settings.detail
    while detail > 1 and min(sides) < settings.size * detail:
        detail //= 2
    return detail


def classes_of(names: Sequence[str]) -> tuple[tuple[str, ...], list[int]]:
    """Classes and labels from first-level sub-folders; none if a picture lies outside, or there is one."""
    tops = [parts[0] if len(parts := PurePosixPath(name).parts) > 1 else "" for name in names]
    classes = sorted(set(tops))
    if "" in classes or len(classes) < 2:
        return (), [0] * len(names)
    return tuple(classes), [classes.index(top) for top in tops]


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
    _report(location, problems, strict)
    if not usable:
        raise DataError(f"{location}: none of its pictures ({len(entries)}) can be used")
    return sizes, usable


def _report(location: Path, problems: dict[str, str], strict: bool) -> None:
    """Raise, or warn about, files that cannot be used."""
    if not problems:
        return
    shown = [f"  {problem}" for problem in list(problems.values())[:SHOWN]]
    if len(problems) > SHOWN:
        shown.append(f"  and {len(problems) - SHOWN} more")
    text = "\n".join([f"{location}: {counted(len(problems), 'file')} cannot be used", *shown])
    if strict:
        raise DataError(f"{text}\nMend or remove them, or leave them out with --set domain.strict=false")
    log.warning("%s", text)
