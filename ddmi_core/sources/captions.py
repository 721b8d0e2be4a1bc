"""Captions from text files next to the data files."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from ddmi_core.errors import DataError
from ddmi_core.sources.files import Entry, find_files

SUFFIX = ".txt"
LONGEST = 1 << 16  # bytes of a caption file

log = logging.getLogger(__name__)


def captions_beside(location: Path, names: Sequence[str], suffixes: Sequence[str], kind: str) -> list[tuple[str, ...]]:
    """Captions of each file, one per line, from the file with the same name and the suffix `.txt`.

    Either all files have a caption file, or no captions are read, with a warning if only some have one.

    Args:
        location: folder or zip archive.
        names: of the files, as `find_files` gives them.
        suffixes: accepted suffixes, as for `find_files`.
        kind: what the files are, in the plural, for messages: `pictures`.

    Returns:
        For each name its captions, at least one; an empty list if there are none.

    Raises:
        DataError: if a caption file is empty, too long, or not UTF-8 text.
    """
    # Listed together with the data files, so that an archive's top folder is removed from all names or none.
    entries = find_files(location, (*suffixes, SUFFIX), kind)
    beside = {entry.name: entry for entry in entries if entry.name.endswith(SUFFIX)}
    wanted = [str(PurePosixPath(name).with_suffix(SUFFIX)) for name in names]
    missing = [name for name in wanted if name not in beside]
    if not missing:
        return [_lines(beside[name]) for name in wanted]
    if len(missing) < len(wanted):
        log.warning(
            "%s: captions are ignored: only %s of %s %s have a caption file; the first missing one is %s",
            location,
            len(wanted) - len(missing),
            len(wanted),
            kind,
            missing[0],
        )
    return []


def tell_sides(captions: Sequence[str]) -> bool:
    """Whether captions mention left or right, so that they are wrong for the mirror image."""
    return any(word in ("left", "right") for text in captions for word in re.findall(r"\w+", text.lower()))


def _lines(entry: Entry) -> tuple[str, ...]:
    with entry.opened() as file:
        content = file.read(LONGEST + 1)
    if len(content) > LONGEST:
        raise DataError(f"{entry.name}: more than {LONGEST} bytes; write short captions, one per line")
    try:
        lines = content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f"{entry.name}: not UTF-8 text: {error}") from error
    captions = tuple(line.strip() for line in lines if line.strip())
    if not captions:
        raise DataError(f"{entry.name}: empty; write one caption per line, or remove the file")
    return captions
