"""Captions of files in text files beside them."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from ddmi_core.errors import DataError
from ddmi_core.sources.files import Entry, find_files

SUFFIX = ".txt"
LONGEST = 1 << 16  # bytes of a file of captions

log = logging.getLogger(__name__)


def captions_beside(location: Path, names: Sequence[str], suffixes: Sequence[str], kind: str) -> list[tuple[str, ...]]:
    """Captions of each file, one a line, from the file of the same name that ends in `.txt`.

    All files need one beside them; otherwise there are no captions, with a warning where some have one.

    Args:
        location: folder or zip archive.
        names: of the files, as `find_files` gives them.
        suffixes: accepted ends of names, as for `find_files`.
        kind: what the files are, in the plural, for messages: `pictures`.

    Returns:
        For each name its captions, at least one; or nothing.

    Raises:
        DataError: if a file of captions is empty, too long, or no text in UTF-8.
    """
    # Together with the files themselves, so that an archive's top folder is taken off all names or none.
    entries = find_files(location, (*suffixes, SUFFIX), kind)
    beside = {entry.name: entry for entry in entries if entry.name.endswith(SUFFIX)}
    wanted = [str(PurePosixPath(name).with_suffix(SUFFIX)) for name in names]
    missing = [name for name in wanted if name not in beside]
    if not missing:
        return [_lines(beside[name]) for name in wanted]
    if len(missing) < len(wanted):
        log.warning(
            "%s: captions are left out: %s of %s %s with captions beside them; the first that is missing is %s",
            location,
            len(wanted) - len(missing),
            len(wanted),
            kind,
            missing[0],
        )
    return []


def tell_sides(captions: Sequence[str]) -> bool:
    """Whether captions speak of left or right, so that they are not true of the mirror image."""
    return any(word in ("left", "right") for text in captions for word in re.findall(r"\w+", text.lower()))


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
