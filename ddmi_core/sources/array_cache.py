"""Arrays that take long to make, kept in the user's cache under a key of all that they depend on."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import numpy.typing as npt
from attrs import frozen
from platformdirs import user_cache_path

from ddmi_core.errors import OutputError

ABANDONED = 24 * 3600  # seconds after which a file that was not written to belongs to a process that was killed

Rows = npt.NDArray[Any]


@frozen
class ArrayCache:
    """A folder of the user's cache, with limits beyond which the least recently used arrays go.

    An array is one file: NumPy's format, and after it the array's notes as JSON. It is written aside, then renamed, so
    that several processes may make the same array at once, and none sees a part of it.

    Args:
        name: of the folder, below the program's own in the user's cache.
        arrays: how many are kept.
        room: bytes that they may take.

    Example:
        >>> cache = ArrayCache("squares", room=1 << 30)
        >>> cache.made(["squares", 1, 4], lambda: np.arange(4) ** 2).tolist()
        [0, 1, 4, 9]
    """

    name: str
    arrays: int = sys.maxsize
    room: int = sys.maxsize

    @property
    def folder(self) -> Path:
        """Where the arrays are."""
        return user_cache_path("ddmi") / self.name

    def made(self, key: Sequence[Any], make: Callable[[], Rows]) -> Rows:
        """The array of a key: memory-mapped from the cache, or made in memory and put there.

        Without a cache that can be written, it is made each time. Call `tidy` when all are there: this keeps no limit.

        Args:
            key: all that the array depends on, as JSON allows.
            make: makes it.
        """
        path = self._path(key)
        with suppress(OSError, ValueError, EOFError):
            return _opened(path)[0]
        rows = make()
        aside = _beside(path)
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                with aside.open("wb") as file:
                    np.save(file, rows, allow_pickle=False)
                _finish(aside, path, None)
            finally:
                aside.unlink(missing_ok=True)
        return rows

    def filled(
        self, key: Sequence[Any], shape: tuple[int, ...], dtype: npt.DTypeLike, fill: Callable[[Rows], Any]
    ) -> tuple[Rows, Any]:
        """An array that may be larger than the memory, and its notes: from the cache, or filled there.

        Args:
            key: all that the array depends on, beside its shape and type, as JSON allows.
            shape: of the array.
            dtype: type of its values.
            fill: writes the values into an array of zeros, and returns notes, as JSON allows. The array is
                memory-mapped from the file `rows.filename`, so several processes may write into it.

        Returns:
            The array, memory-mapped to be read, and the notes.

        Raises:
            OutputError: if the cache cannot be written, or has no space left.
        """
        dtype = np.dtype(dtype)
        path = self._path([*key, list(shape), dtype.str])
        with suppress(OSError, ValueError, EOFError):
            return _opened(path)
        size = int(np.prod(shape)) * dtype.itemsize
        self.tidy(arrays=1, room=size)
        aside = _beside(path)
        try:
            with _told(path, size):
                path.parent.mkdir(parents=True, exist_ok=True)
                rows = np.lib.format.open_memmap(aside, mode="w+", dtype=dtype, shape=shape)
                _reserve(aside)
            notes = fill(rows)
            with _told(path, size):
                rows.flush()
                del rows
                _finish(aside, path, notes)
                return _opened(path)
        finally:
            with suppress(OSError):
                aside.unlink(missing_ok=True)

    def tidy(self, arrays: int = 0, room: int = 0) -> None:
        """Remove the least recently used arrays beyond the limits, and what killed processes have left.

        Args:
            arrays: how many more are about to come.
            room: bytes that these take.
        """
        with suppress(OSError):
            for path in self.folder.glob(".*.part"):
                if time.time() - path.stat().st_mtime > ABANDONED:
                    path.unlink(missing_ok=True)
            found = [(path.stat().st_mtime, path.stat().st_size, path) for path in self.folder.glob("*.npy")]
            for _, size, path in sorted(found, reverse=True):
                arrays, room = arrays + 1, room + size
                if arrays > self.arrays or room > self.room:
                    path.unlink(missing_ok=True)

    def _path(self, key: Sequence[Any]) -> Path:
        return self.folder / f"{hashlib.sha256(json.dumps(list(key)).encode()).hexdigest()[:32]}.npy"


def source_digest(*modules: Path) -> str:
    """Digest of program files, a part of the key of arrays that depend on how they are made."""
    return hashlib.sha256(b"".join(path.read_bytes() for path in sorted(modules))).hexdigest()[:16]


def _opened(path: Path) -> tuple[Rows, Any]:
    """A kept array and its notes; it becomes the one used last."""
    rows = np.load(path, mmap_mode="r")
    with path.open("rb") as file:
        file.seek(rows.offset + rows.nbytes)
        notes = json.loads(file.read())
    with suppress(OSError):  # a cache that may only be read
        os.utime(path)
    return rows, notes


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{uuid4().hex}.part")


def _finish(aside: Path, path: Path, notes: Any) -> None:
    """Write the notes, which mark an array as complete, and rename it."""
    with aside.open("ab") as file:
        file.write(json.dumps(notes).encode())
    aside.replace(path)


def _reserve(path: Path) -> None:
    """Take the space of a sparse file at once: where a mapped page finds none, the process would be killed."""
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as file:
            try:
                os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
            except OSError as error:
                if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):  # a file system that cannot
                    raise


@contextmanager
def _told(path: Path, size: int) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"{path.parent}: an array of {size / 2**30:.1f} GiB cannot be kept in the cache: "
            f"{error.strerror or error}; free some space there, or set XDG_CACHE_HOME to another folder"
        ) from error
