"""Decoding of files: errors of damaged files, and rows of one array in memory or in the user's cache."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from hashlib import blake2b
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from attrs import frozen

from ddmi_core.allowance import cores
from ddmi_core.errors import DataError, DdmiError, counted
from ddmi_core.out_of_memory import is_out_of_memory
from ddmi_core.progress import tracked
from ddmi_core.sources.account import Change, account, as_json, changes_from, data_warning
from ddmi_core.sources.array_cache import ArrayCache, Rows
from ddmi_core.sources.files import LARGEST_FILE, Entry, check_regular
from ddmi_core.sources.lazy_rows import LazyRows

SMALL = 1 << 26  # bytes; larger decoded data are kept in the cache, so that the next start is quick
IN_MEMORY = 1 << 30  # bytes; larger ones require it
CACHE = ArrayCache("decoded", arrays=4)
AHEAD = 64  # files that threads decode before the first of them is used up
FORMAT = 2  # of the notes of decoded files

_BROKEN_OFF = re.compile(r"[\w.+-]*\s*")  # nothing, or a part of a number or word, to the end of a JSON text
_ADDRESS = re.compile(r" ?<[^<>]* (at 0x[0-9a-f]+|name=[^<>]*)>")  # of an object or open file, in messages of decoders


@contextmanager
def damaged(name: str, kind: str, fix: str = "") -> Iterator[None]:
    """Convert what decoders raise in the block for damaged or foreign files to `DataError`.

    The only broad `except` for files, because decoders raise exceptions of many types. A `DdmiError` passes unchanged.

    Args:
        name: of the file, for the message.
        kind: what the file should be, with its article: `a CSV file`.
        fix: end of the sentence, if there is something to do.

    Raises:
        DataError: for every other exception of the block.

    Example:
        >>> with damaged("wave.npy", "a NumPy array", "write it with numpy.save"):
        ...     np.lib.format.read_magic(open("/dev/null", "rb"))
        Traceback (most recent call last):
        ddmi_core.errors.DataError: wave.npy: not a NumPy array, or damaged: EOF: reading magic string, expected 8 ...
    """
    try:
        yield
    except DdmiError:
        raise
    except Exception as error:
        end = f"; {fix}" if fix else ""
        if is_out_of_memory(error):
            raise DataError(f"{name}: not enough memory to decode it") from error
        if isinstance(error, OSError) and error.strerror:
            raise DataError(f"{name}: cannot be read: {error.strerror}") from error
        empty = "cut short" if isinstance(error, EOFError) else type(error).__name__
        reason = _ADDRESS.sub("", str(error)).strip() or empty
        raise DataError(f"{name}: not {kind}, or damaged: {reason}{end}") from error


def json_value(text: str | bytes, where: str, fix: str) -> Any:
    """The value of a JSON text.

    Args:
        text: contents of a file, or one line of it; bytes are UTF-8.
        where: name of the file, and line, for messages.
        fix: what to do about a text that is not JSON, or cut short.

    Raises:
        DataError: for such a text.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        what = f"not JSON: {error}"
        if isinstance(error, json.JSONDecodeError):
            ends = _BROKEN_OFF.fullmatch(error.doc, error.pos) or error.msg.startswith("Unterminated string")
            what = "is cut short, in the middle of its JSON" if ends else what
        raise DataError(f"{where}: {what}. Fix: {fix}") from error


@contextmanager
def npz_arrays(source: Path | BinaryIO, name: str, kind: str, fix: str = "") -> Iterator[Any]:
    """The arrays of an NPZ file, by name, each read when it is asked for; errors of the block become `DataError`.

    Args:
        source: regular file, or open file.
        name: of the file, for messages.
        kind: what the file should be, with its article.
        fix: end of the sentence, if there is something to do.

    Raises:
        DataError: if it is damaged, or its arrays exceed 1 GiB in all, so that a small file cannot fill the memory.
    """
    if isinstance(source, Path):
        check_regular(source)
    with damaged(name, kind, fix):
        with zipfile.ZipFile(source) as archive:
            total = sum(info.file_size for info in archive.infolist())
        if total > LARGEST_FILE:
            raise DataError(f"{name}: its arrays have {total:,} bytes, more than the limit of {LARGEST_FILE:,} a file")
        if not isinstance(source, Path):
            source.seek(0)
        with np.load(source, allow_pickle=False) as arrays:
            yield arrays


@frozen(eq=False)
class Decoded:
    """A row with what the reader did to the signal.

    Args:
        row: `(length,)`.
        changes: for the account of the data; see `Change`.
    """

    row: Rows
    changes: tuple[Change, ...] = ()


@frozen
class Decoding:
    """How a file is decoded to a row.

    Args:
        length: values of one row.
        dtype: their type.
        read: function from a file to its row `(length,)`, or to a `Decoded` with the changes that it made; raises
            `DataError` if the file cannot be used.
        key: inputs of the rows other than the files, as a part of the cache's key: the domain's name, since all
            domains share the cache, and the settings that change what is read.
        repeatable: whether `read` may be called at any time, in any order, thread or process. Then several threads
            decode, and data that fit neither into memory nor into the cache are decoded at each reading.
    """

    length: int
    dtype: np.dtype[Any]
    read: Callable[[Entry], Rows | Decoded]
    key: tuple[str | int, ...]
    repeatable: bool = False


def decode_files(location: Path, entries: Sequence[Entry], how: Decoding) -> tuple[Rows, dict[str, str]]:
    """Decode all files, and record changes and equal rows in the account of the data.

    Up to 64 MiB of rows are kept in memory; larger ones in the user's cache, which takes at most a quarter of the free
    space of its disk. If it has no room, up to 1 GiB is kept in memory, and larger rows are decoded at each reading.

    Args:
        location: folder or archive, for the cache's key.
        entries: files.
        how: the decoder.

    Returns:
        `(M, length)`, one row per file, and the errors of files that cannot be decoded, by name. The rows are an array;
        where `how` is repeatable, they may be `LazyRows`, which `GridSet` takes as well.

    Raises:
        OutputError: if the cache cannot be written, and reading cannot be repeated.
    """
    shape = (len(entries), how.length)
    needed = shape[0] * shape[1] * how.dtype.itemsize
    key = [str(location.resolve()), *how.key, FORMAT, [(entry.name, entry.stamp) for entry in entries]]

    def fill(rows: Rows) -> dict[str, Any]:
        return _read_all(entries, how, rows.__setitem__)

    rows: Rows | LazyRows
    room = needed > min(SMALL, IN_MEMORY) and (
        CACHE.has_room(needed) or CACHE.has(CACHE.filled_key(key, shape, how.dtype))
    )
    if room or (needed > IN_MEMORY and not how.repeatable):
        rows, notes = CACHE.filled(key, shape, how.dtype, fill)
    elif needed > IN_MEMORY:
        rows, notes = _lazily(key, entries, how)
        data_warning(
            f"files are decoded at each reading: {needed / 2**30:.1f} GiB would take more than a quarter of the free "
            f"space of the cache {CACHE.folder}",
            fix="if training waits for data, free space there, or set XDG_CACHE_HOME to a folder with more",
        )
    else:
        rows = np.zeros(shape, dtype=how.dtype)
        notes = fill(rows)
    for name, changes in notes["changes"].items():
        account().change(name, changes_from(changes))
    if copies := notes["copies"]:
        data_warning(
            f"{counted(len(copies), 'signal')} equal to another one, which makes figures too good if one is held out",
            [f"{name} = {first}" for name, first in copies.items()],
            "remove the copies",
        )
    return cast(Rows, rows), notes["problems"]


def decoded(row: Rows | Decoded) -> Decoded:
    """What a reader returned, with its changes."""
    return row if isinstance(row, Decoded) else Decoded(row)


def _lazily(key: list[Any], entries: Sequence[Entry], how: Decoding) -> tuple[LazyRows, dict[str, Any]]:
    """Rows that are decoded when they are read, and the notes from one reading of all files."""

    def once(name: str, make: Callable[[], Any]) -> Any:
        return CACHE.noted([*key, name], lambda: (np.zeros(0, how.dtype), make()))[1]

    def read(index: int) -> Rows:
        return decoded(how.read(entries[index])).row.astype(how.dtype, copy=False)

    notes = once("read", lambda: _read_all(entries, how, lambda number, row: None))
    return LazyRows(read, len(entries), how.length, how.dtype, once), notes


def _read_all(entries: Sequence[Entry], how: Decoding, keep: Callable[[int, Rows], Any]) -> dict[str, Any]:
    """Decode all files, and keep their rows.

    Returns:
        Problems, changes as JSON values, and names of copies with that of the first one.
    """
    problems: dict[str, str] = {}
    changes: dict[str, Any] = {}
    copies: dict[str, str] = {}
    seen: dict[bytes, str] = {}
    every = zip(entries, _each(entries, how), strict=True)
    for number, (entry, read) in enumerate(tracked("files", every, len(entries))):
        if isinstance(read, DataError):
            problems[entry.name] = str(read)
            continue
        row = np.ascontiguousarray(read.row, dtype=how.dtype)
        keep(number, row)
        if read.changes:
            changes[entry.name] = [as_json(change) for change in read.changes]
        first = seen.setdefault(blake2b(row.data, digest_size=16).digest(), entry.name)
        if first != entry.name:
            copies[entry.name] = first
    return {"problems": problems, "changes": changes, "copies": copies}


def _each(entries: Sequence[Entry], how: Decoding) -> Iterator[Decoded | DataError]:
    """What reading each file gives, in order; several threads read ahead if it is repeatable."""

    def read(entry: Entry) -> Decoded | DataError:
        try:
            return decoded(how.read(entry))
        except DataError as error:
            return error

    threads = cores()
    if not how.repeatable or threads == 1:
        yield from map(read, entries)
        return
    with ThreadPoolExecutor(threads) as pool:
        for first in range(0, len(entries), AHEAD):
            # Each call has a context of its own, so that warnings reach the account that is open.
            calls = [pool.submit(copy_context().run, read, entry) for entry in entries[first : first + AHEAD]]
            yield from (call.result() for call in calls)
