"""Captions of pictures in text files beside them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from ddmi_core.errors import DataError, counted
from ddmi_core.parts import Entry, find_files

SUFFIX = ".txt"
LONGEST = 1 << 16  # bytes of a file of captions

log = logging.getLogger(__name__)


def captions_beside(location: Path, names: Sequence[str], suffixes: Sequence[str]) -> list[tuple[str, ...]]:
    """Captions of each picture, one a line, from the file of the same name that ends in `.txt`.

    All pictures need such a file; otherwise there are no captions, with a warning where some have one.

    Args:
        location: folder or zip archive.
        names: of the pictures, as `find_files` gives them.
        suffixes: of pictures.

    Raises:
        DataError: if a file of captions is empty, too long, or no text in UTF-8.
    """
    # Together with the pictures, so that an archive's top folder is taken off all names or none.
    entries = find_files(location, (*suffixes, SUFFIX), "pictures")
    beside = {entry.name: entry for entry in entries if entry.name.endswith(SUFFIX)}
    wanted = [str(PurePosixPath(name).with_suffix(SUFFIX)) for name in names]
    missing = [name for name in wanted if name not in beside]
    if not missing:
        return [_lines(beside[name]) for name in wanted]
    if len(missing) < len(wanted):
        log.warning(
            "%s: captions are left out: %s of %s with captions beside them; the first that is missing is %s",
            location,
            len(wanted) - len(missing),
            counted(len(wanted), "picture"),
            missing[0],
        )
    return []


def _lines(entry: Entry) -> tuple[str, ...]:
    with entry.opened() as file:
        content = file.read(LONGEST + 1)
    if len(content) > LONGEST:
        raise DataError(f"{entry.name}: more than {LONGEST} bytes; captions are short, one a line")
    try:
        lines = content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f"{entry.name}: not text in UTF-8: {error}") from error
    captions = tuple(line.strip() for line in lines if line.strip())
    if not captions:
        raise DataError(f"{entry.name}: empty; write one caption a line, or remove it")
    return captions
