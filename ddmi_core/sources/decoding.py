"""Decoding of files: errors of damaged files, and rows of one array in memory or in the user's cache."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from attrs import frozen

from ddmi_core.errors import DataError, DdmiError
from ddmi_core.sources.array_cache import ArrayCache, Rows
from ddmi_core.sources.files import Entry

IN_MEMORY = 1 << 30  # bytes; larger decoded data are memory-mapped
CACHE = ArrayCache("decoded", arrays=4)

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
        if isinstance(error, MemoryError):
            raise DataError(f"{name}: not enough memory to decode it") from error
        if isinstance(error, OSError) and error.strerror:
            raise DataError(f"{name}: cannot be read: {error.strerror}") from error
        empty = "cut short" if isinstance(error, EOFError) else type(error).__name__
        reason = _ADDRESS.sub("", str(error)).strip() or empty
        raise DataError(f"{name}: not {kind}, or damaged: {reason}{end}") from error


@frozen
class Decoding:
    """How a file is decoded to a row.

    Args:
        length: values of one row.
        dtype: their type.
        read: function from a file to its row `(length,)`; raises `DataError` if the file cannot be used.
        key: inputs of the rows other than the files, as a part of the cache's key: the domain's name, since all
            domains share the cache, and the settings that change what is read.
    """

    length: int
    dtype: np.dtype[Any]
    read: Callable[[Entry], Rows]
    key: tuple[str | int, ...]


def decode_files(location: Path, entries: Sequence[Entry], how: Decoding) -> tuple[Rows, dict[str, str]]:
    """Decode all files.

    Args:
        location: folder or archive, for the cache's key.
        entries: files.
        how: the decoder.

    Returns:
        `(M, length)`, one row per file, and the errors of files that cannot be decoded, by name.

    Raises:
        OutputError: if the cache cannot be written.
    """
    shape = (len(entries), how.length)
    needed = shape[0] * shape[1] * how.dtype.itemsize
    if needed <= IN_MEMORY:
        rows = np.zeros(shape, dtype=how.dtype)
        return rows, _fill(rows, entries, how)
    key = [str(location.resolve()), *how.key, [(entry.name, entry.stamp) for entry in entries]]
    return CACHE.filled(key, shape, how.dtype, lambda rows: _fill(rows, entries, how))


def _fill(rows: Rows, entries: Sequence[Entry], how: Decoding) -> dict[str, str]:
    problems = {}
    for number, entry in enumerate(entries):
        try:
            rows[number] = how.read(entry)
        except DataError as error:
            problems[entry.name] = str(error)
    return problems
