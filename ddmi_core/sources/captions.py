"""Captions of data files: text files of the same name, and tables in the convention of Hugging Face's imagefolder."""

from __future__ import annotations

import codecs
import csv
import io
import posixpath
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from ddmi_core.errors import DataError
from ddmi_core.sources.account import UNREAD_CAPTIONS, account, data_warning
from ddmi_core.sources.arrow_tables import CAPTIONS
from ddmi_core.sources.decoding import json_value
from ddmi_core.sources.files import RECORD, Entry, find_files

TEXTS = (".txt", ".caption")  # of a file beside, one caption per line
TABLES = ("metadata.jsonl", "metadata.csv")
FILE = "file_name"
LONGEST = 1 << 16  # bytes of a caption file
SHOWN = 5
WRITE = "write one caption per line, or remove the file"


def captions_beside(location: Path, names: Sequence[str], suffixes: Sequence[str], kind: str) -> list[tuple[str, ...]]:
    """Captions of each file, from the first of these places that has some.

    1. Text files of the same name with the suffix `.txt` or `.caption`, in UTF-8 or UTF-16, one caption per line.
    2. Tables `metadata.jsonl` or `metadata.csv` in the file's folder or one above it: a column `file_name`, relative
       to the table, and a column `text`, `caption`, `captions` or `prompt`.
    3. A file of the same name with the suffix `.json`: an object with one of these keys.

    Either all files have captions, or none are read, with a warning if only some have any.

    Args:
        location: folder or zip archive.
        names: of the files, as `find_files` gives them.
        suffixes: accepted suffixes, as for `find_files`.
        kind: what the files are, in the plural, for messages: `pictures`.

    Returns:
        For each name its captions, at least one; an empty list if there are none.

    Raises:
        DataError: if a caption file is empty, too long, or not text in a known encoding; or a table is damaged.
    """
    entries = find_files(location, suffixes, kind, beside=(*TEXTS, RECORD, *{Path(name).suffix for name in TABLES}))
    beside = {_place(entry.name): entry for entry in entries}
    rows = _table_rows([entry for entry in entries if posixpath.basename(entry.name) in TABLES])
    found: dict[str, tuple[str, ...]] = {}
    used: set[str] = {table for table, _ in rows.values()}
    problems = []
    for name in names:
        stem = str(PurePosixPath(name).with_suffix(""))
        try:
            text = next((entry for suffix in TEXTS if (entry := beside.get(stem + suffix))), None)
            record = beside.get(stem + RECORD)
            if text is not None:
                found[name] = _lines(text)
                used.add(text.name)
            elif name in rows:
                found[name] = rows[name][1]
            elif record is not None and (captions := _texts(_record(record))):
                found[name] = captions
                used.add(record.name)
        except DataError as error:
            problems.append(str(error))
    if problems:
        more = [f"and {len(problems) - SHOWN} more"] if len(problems) > SHOWN else []
        raise DataError("\n  ".join([*problems[:SHOWN], *more]))
    missing = [name for name in names if name not in found]
    if not missing:
        account().take(location, used, "files of captions")
        return [found[name] for name in names]
    if found:
        for name in used:
            account().leave_out(location, name, UNREAD_CAPTIONS)
        data_warning(
            f"captions are ignored: only {len(found)} of {len(names)} {kind} have one; without one",
            missing,
            f"write {PurePosixPath(missing[0]).with_suffix(TEXTS[0])}, or remove {kind} without a caption",
        )
    return []


def tell_sides(captions: Sequence[str]) -> bool:
    """Whether captions mention left or right, so that they are wrong for the mirror image."""
    return any(word in ("left", "right") for text in captions for word in re.findall(r"\w+", text.lower()))


def _place(name: str) -> str:
    """The name with its suffix in lower case."""
    path = PurePosixPath(name)
    return str(path.with_suffix(path.suffix.lower()))


def _lines(entry: Entry) -> tuple[str, ...]:
    with entry.opened(WRITE) as file:
        content = file.read(LONGEST + 1)
    if len(content) > LONGEST:
        raise DataError(f"{entry.name}: more than {LONGEST} bytes; write short captions, one per line")
    captions = tuple(line.strip() for line in _text(content, entry.name).splitlines() if line.strip())
    if not captions:
        raise DataError(f"{entry.name}: has only empty lines. Fix: {WRITE}")
    return captions


def _text(content: bytes, name: str) -> str:
    """Text in UTF-8, or in UTF-16 with its mark."""
    marked = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return content.decode("utf-16" if marked else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{name}: not UTF-8 text, at byte {error.start}. Fix: save it as UTF-8") from error


def _table_rows(tables: Iterable[Entry]) -> dict[str, tuple[str, tuple[str, ...]]]:
    """The table and the captions of each file that a table names."""
    found = {}
    for entry in tables:
        columns: set[str] = set()
        mine = {}
        for row in _rows(entry):
            columns |= set(row)
            captions = _texts(row)
            if captions and isinstance(row.get(FILE), str):
                name = posixpath.normpath(posixpath.join(posixpath.dirname(entry.name), row[FILE]))
                mine[name] = (entry.name, captions)
        if not mine:
            data_warning(
                f"{entry.name} gives no captions: it has the columns {', '.join(sorted(columns)) or 'none'}",
                fix=f"name the columns {FILE} and {CAPTIONS[0]}",
            )
        found.update(mine)
    return found


def _rows(entry: Entry) -> Iterator[dict[str, Any]]:
    """The rows of a table, by column."""
    with entry.opened() as file:
        text = _text(file.read(), entry.name)
    if entry.name.endswith(".csv"):
        yield from _csv_rows(text, entry.name)
        return
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            yield _object(line, f"{entry.name}, line {number}")


def _csv_rows(text: str, name: str) -> Iterator[dict[str, Any]]:
    rows = csv.DictReader(io.StringIO(text, newline=""))
    try:
        for row in rows:
            if None in row:
                raise DataError(
                    f"{name}, line {rows.line_num}: more cells than the header has. Fix: put quotes around captions "
                    "with commas"
                )
            yield row
    except csv.Error as error:
        raise DataError(f"{name}, after line {rows.line_num}: not CSV: {error}. Fix: save it again as CSV") from error


def _record(entry: Entry) -> dict[str, Any]:
    with entry.opened() as file:
        return _object(_text(file.read(LONGEST), entry.name), entry.name)


def _object(text: str, where: str) -> dict[str, Any]:
    value = json_value(text, where, "write it again, or remove it")
    return value if isinstance(value, dict) else {}


def _texts(row: dict[str, Any]) -> tuple[str, ...]:
    """The captions of a row: those of the first column that has some."""
    for column in CAPTIONS:
        value = row.get(column)
        texts = [text.strip() for text in (value if isinstance(value, list) else [value]) if isinstance(text, str)]
        if captions := tuple(text for text in texts if text):
            return captions
    return ()
