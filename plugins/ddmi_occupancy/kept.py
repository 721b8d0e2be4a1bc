"""Arrays that take long to make, kept in the user's cache; without a cache that can be written they are made again."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from platformdirs import user_cache_path

from ddmi_occupancy.sampling import Rows

LARGEST = 4 << 30  # bytes in the cache; what was not used for longest goes first


def kept(key: Sequence[Any], make: Callable[[], Rows]) -> Rows:
    """The array of a key: from the cache, or made and put there.

    Args:
        key: all that the array depends on, as JSON allows.
        make: makes it.
    """
    path = _folder() / f"{hashlib.sha256(json.dumps(list(key)).encode()).hexdigest()[:32]}.npy"
    with suppress(OSError, ValueError, EOFError):
        found: Rows = np.load(path, mmap_mode="r")
        os.utime(path)
        return found
    made = make()
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with aside.open("wb") as file:
                np.save(file, made)
            aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)
    return made


def tidy() -> None:
    """Remove the least recently used arrays beyond the limit."""
    with suppress(OSError):
        found = [(path.stat().st_mtime, path.stat().st_size, path) for path in _folder().glob("*.npy")]
        total = 0
        for _, size, path in sorted(found, reverse=True):
            total += size
            if total > LARGEST:
                path.unlink(missing_ok=True)


def source_digest(*modules: Path) -> str:
    """Digest of program files, for arrays that depend on how they are made."""
    return hashlib.sha256(b"".join(path.read_bytes() for path in sorted(modules))).hexdigest()[:16]


def _folder() -> Path:
    return user_cache_path("ddmi") / "shapes"
