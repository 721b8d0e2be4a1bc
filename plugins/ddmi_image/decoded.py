"""Decoded pictures: in memory while they are few, otherwise in a memory-mapped file of the user's cache."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from platformdirs import user_cache_path

from ddmi_core.errors import DataError, OutputError
from ddmi_image.files import Entry
from ddmi_image.pixel_set import Pixels, pack, row_bytes
from ddmi_image.reading import read_square

IN_MEMORY = 1 << 30  # bytes of decoded pictures up to which they stay in memory
KEPT = 4  # decoded sets that stay in the cache; the least recently used go first


def decode(location: Path, entries: Sequence[Entry], size: int, detail: int) -> tuple[Pixels, dict[str, str]]:
    """Decode all pictures at all levels.

    Args:
        location: folder or archive, for the cache's key.
        entries: pictures.
        size: native size.
        detail: greatest multiple of it.

    Returns:
        `(M, R)` bytes, one packed row a picture, and what is wrong with those that cannot be decoded.

    Raises:
        OutputError: if the cache cannot be written.
    """
    shape = (len(entries), row_bytes(size, detail))
    if shape[0] * shape[1] <= IN_MEMORY:
        pixels = np.zeros(shape, dtype=np.uint8)
        return pixels, _fill(pixels, entries, size, detail)
    folder = user_cache_path("ddmi") / "pictures"
    listing = [str(location.resolve()), size, detail, [(entry.name, entry.stamp) for entry in entries]]
    path = folder / f"{hashlib.sha256(json.dumps(listing).encode()).hexdigest()[:32]}.npy"
    notes = path.with_suffix(".json")
    try:
        if not (path.exists() and notes.exists()):
            _make(path, notes, entries, size, detail)
        problems = json.loads(notes.read_text(encoding="utf-8"))
        os.utime(path)
        return np.load(path, mmap_mode="r"), problems
    except (OSError, ValueError) as error:
        needed = f"{shape[0] * shape[1] / 2**30:.1f} GiB of decoded pictures"
        raise OutputError(f"{path}: cannot keep {needed} in the cache: {error}") from error


def _fill(pixels: Pixels, entries: Sequence[Entry], size: int, detail: int) -> dict[str, str]:
    problems = {}
    for row, entry in enumerate(entries):
        try:
            with entry.opened() as file:
                pixels[row] = pack(read_square(file, entry.name, size * detail), size)
        except DataError as error:
            problems[entry.name] = str(error)
    return problems


def _make(path: Path, notes: Path, entries: Sequence[Entry], size: int, detail: int) -> None:
    """Write a decoded set aside, then rename it; the notes come last and mark it complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    old = sorted(path.parent.glob("*.npy"), key=lambda file: file.stat().st_mtime, reverse=True)
    for file in old[KEPT - 1 :]:
        file.with_suffix(".json").unlink(missing_ok=True)
        file.unlink(missing_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        shape = (len(entries), row_bytes(size, detail))
        pixels = np.lib.format.open_memmap(aside, mode="w+", dtype=np.uint8, shape=shape)
        problems = _fill(pixels, entries, size, detail)
        pixels.flush()
        del pixels
        aside.replace(path)
        notes.write_text(json.dumps(problems), encoding="utf-8")
    finally:
        aside.unlink(missing_ok=True)
