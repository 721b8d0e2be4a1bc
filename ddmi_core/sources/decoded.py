"""Decoded files as rows of one array: in memory while they are few, otherwise memory-mapped in the user's cache."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from attrs import frozen
from platformdirs import user_cache_path

from ddmi_core.errors import DataError, OutputError
from ddmi_core.sources.files import Entry

IN_MEMORY = 1 << 30  # bytes of decoded files up to which they stay in memory
KEPT = 4  # decoded sets that stay in the cache; the least recently used go first

Rows = npt.NDArray[Any]


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
    folder = user_cache_path("ddmi") / "decoded"
    listing = [
        str(location.resolve()),
        *how.key,
        how.length,
        str(how.dtype),
        [(entry.name, entry.stamp) for entry in entries],
    ]
    path = folder / f"{hashlib.sha256(json.dumps(listing).encode()).hexdigest()[:32]}.npy"
    notes = path.with_suffix(".json")
    try:
        if not (path.exists() and notes.exists()):
            _make(path, notes, entries, how)
        problems = json.loads(notes.read_text(encoding="utf-8"))
        os.utime(path)
        return np.load(path, mmap_mode="r"), problems
    except (OSError, ValueError) as error:
        raise OutputError(
            f"{path}: cannot keep {needed / 2**30:.1f} GiB of decoded files in the cache: {error}"
        ) from error


def _fill(rows: Rows, entries: Sequence[Entry], how: Decoding) -> dict[str, str]:
    problems = {}
    for number, entry in enumerate(entries):
        try:
            rows[number] = how.read(entry)
        except DataError as error:
            problems[entry.name] = str(error)
    return problems


def _make(path: Path, notes: Path, entries: Sequence[Entry], how: Decoding) -> None:
    """Write a decoded set aside, then rename it; the notes come last and mark it complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    old = sorted(path.parent.glob("*.npy"), key=lambda file: file.stat().st_mtime, reverse=True)
    for file in old[KEPT - 1 :]:
        file.with_suffix(".json").unlink(missing_ok=True)
        file.unlink(missing_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        rows = np.lib.format.open_memmap(aside, mode="w+", dtype=how.dtype, shape=(len(entries), how.length))
        problems = _fill(rows, entries, how)
        rows.flush()
        del rows
        aside.replace(path)
        notes.write_text(json.dumps(problems), encoding="utf-8")
    finally:
        aside.unlink(missing_ok=True)
