"""Decoded files as rows of one array: in memory while they are few, otherwise memory-mapped in the user's cache."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from attrs import frozen

from ddmi_core.errors import DataError
from ddmi_core.sources.array_cache import ArrayCache, Rows
from ddmi_core.sources.files import Entry

IN_MEMORY = 1 << 30  # bytes of decoded files up to which they stay in memory
CACHE = ArrayCache("decoded", arrays=4)


@frozen
class Decoding:
    """How files become rows.

    Args:
        length: values of one row.
        dtype: their type.
        read: function from a file to its row `(length,)`; raises `DataError` if the file cannot be used.
        key: what the rows depend on beside the files, as a part of the cache's key: the domain's name, since all
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
        how: how one is decoded.

    Returns:
        `(M, length)`, one row a file, and what is wrong with those that cannot be decoded, by name.

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
