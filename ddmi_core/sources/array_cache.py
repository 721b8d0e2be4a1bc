"""Disk cache for arrays that are expensive to compute, keyed by all their inputs."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import struct
import sys
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import numpy.typing as npt
from attrs import frozen
from platformdirs import user_cache_path

from ddmi_core import record_files
from ddmi_core.allowance import cores
from ddmi_core.errors import OutputError

SPARE_ROOM = 4  # times the size of an array that is stored to save time alone
ABANDONED = 24 * 3600  # seconds without a write after which a partial file is removed; its process was killed

BLOCK = 64 << 20  # bytes whose checksum a thread computes
_LENGTH = struct.Struct("<Q")

Rows = npt.NDArray[Any]


@frozen
class ArrayCache:
    """A folder of arrays in the user's cache, with size limits and least-recently-used eviction.

    An array is one file: NumPy's format, followed by the array's notes as JSON with checksums, and where they begin. A
    file that does not have its checksums is made again. It is written under a temporary name
    and renamed, so that several processes may compute the same array at once, and none reads a partial file.

    Args:
        name: of the folder, below the program's cache folder.
        arrays: maximum number of arrays.
        room: maximum total size in bytes.

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
        """Path of the cache folder."""
        return user_cache_path("ddmi") / self.name

    def made(self, key: Sequence[Any], make: Callable[[], Rows]) -> Rows:
        """The array of a key: memory-mapped from the cache, or computed in memory and stored.

        Without a writable cache it is computed each time. The limits are not enforced here: call `tidy` at the end.

        Args:
            key: all inputs of the array, as JSON values.
            make: computes the array.
        """
        return self.noted(key, lambda: (make(), None))[0]

    def noted(self, key: Sequence[Any], make: Callable[[], tuple[Rows, Any]]) -> tuple[Rows, Any]:
        """As `made`, for an array and notes about it, a JSON value."""
        path = self._path(key)
        with suppress(OSError, ValueError, EOFError):
            return _opened(path)
        rows, notes = make()
        aside = _partial(path)
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                with aside.open("wb") as file:
                    np.save(file, rows, allow_pickle=False)
                _finish(aside, path, notes)
            finally:
                aside.unlink(missing_ok=True)
        return rows, notes

    def has_room(self, size: int) -> bool:
        """Whether the folder can be written, and its disk has several times as many bytes free."""
        place = next(path for path in (self.folder, *self.folder.parents) if path.exists())
        return os.access(place, os.W_OK) and shutil.disk_usage(place).free > SPARE_ROOM * size

    def has(self, key: Sequence[Any]) -> bool:
        """Whether the array of a key is in the cache."""
        return self._path(key).is_file()

    def filled_key(self, key: Sequence[Any], shape: tuple[int, ...], dtype: npt.DTypeLike) -> list[Any]:
        """The key of an array that `filled` makes."""
        return [*key, list(shape), np.dtype(dtype).str]

    def filled(
        self, key: Sequence[Any], shape: tuple[int, ...], dtype: npt.DTypeLike, fill: Callable[[Rows], Any]
    ) -> tuple[Rows, Any]:
        """An array that may exceed the memory, and its notes: from the cache, or filled there.

        Args:
            key: all inputs of the array except shape and type, as JSON values.
            shape: of the array.
            dtype: type of its values.
            fill: writes the values into an array of zeros, and returns notes, a JSON value. The array is
                memory-mapped from the file `rows.filename`, so several processes may write into it.

        Returns:
            The array, memory-mapped for reading, and the notes.

        Raises:
            OutputError: if the cache cannot be written, or has no space left.
        """
        dtype = np.dtype(dtype)
        path = self._path(self.filled_key(key, shape, dtype))
        with suppress(OSError, ValueError, EOFError):
            return _opened(path)
        size = int(np.prod(shape)) * dtype.itemsize
        self.tidy(arrays=1, room=size)
        aside = _partial(path)
        try:
            with _write_errors(path, size):
                path.parent.mkdir(parents=True, exist_ok=True)
                rows = np.lib.format.open_memmap(aside, mode="w+", dtype=dtype, shape=shape)
                _reserve(aside)
            notes = fill(rows)
            with _write_errors(path, size):
                rows.flush()
                del rows
                _finish(aside, path, notes)
                return _opened(path)
        finally:
            with suppress(OSError):
                aside.unlink(missing_ok=True)

    def tidy(self, arrays: int = 0, room: int = 0) -> None:
        """Remove the least recently used arrays beyond the limits, and partial files of killed processes.

        Args:
            arrays: number of arrays about to be added.
            room: their size in bytes.
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
    """Digest of source files, for the key of arrays that depend on the code that computes them."""
    return hashlib.sha256(b"".join(path.read_bytes() for path in sorted(modules))).hexdigest()[:16]


def _opened(path: Path) -> tuple[Rows, Any]:
    """A stored array and its notes, compared with their checksums; marks it as the most recently used.

    Raises:
        ValueError: if the file is not what was stored.
    """
    size = path.stat().st_size - _LENGTH.size
    if size < 0:
        raise ValueError("it is cut")
    with path.open("rb") as file:
        file.seek(size)
        (end,) = _LENGTH.unpack(file.read())
        if not 0 <= end <= size:
            raise ValueError("its end is damaged")
        file.seek(end)
        record = record_files.parsed(file.read(size - end))
    record_files.check(record)
    if record.get("sum") != _sum(path, end):
        raise ValueError("its array is damaged")
    rows = np.load(path, mmap_mode="r")
    if rows.offset + rows.nbytes != end:
        raise ValueError("its array is damaged")
    with suppress(OSError):  # read-only cache
        os.utime(path)
    return rows, record["notes"]


def _sum(path: Path, size: int) -> str:
    """Checksum of the first bytes of a file: CRC-32 of its blocks, which threads read (2 GiB/s a core)."""

    def block(start: int) -> int:
        with path.open("rb") as file:
            file.seek(start)
            left, found = min(BLOCK, size - start), 0
            while left > 0 and (piece := file.read(min(left, 1 << 20))):
                found, left = zlib.crc32(piece, found), left - len(piece)
            return found

    with ThreadPoolExecutor(min(8, cores())) as pool:
        sums = list(pool.map(block, range(0, size, BLOCK)))
    return f"{size}:" + hashlib.sha256(json.dumps(sums).encode()).hexdigest()[:32]


def _partial(path: Path) -> Path:
    return path.with_name(f".{path.name}.{uuid4().hex}.part")


def _finish(aside: Path, path: Path, notes: Any) -> None:
    """Append the notes, with checksums, which mark an array as complete, and rename the file."""
    end = aside.stat().st_size
    record = record_files.sealed({"sum": _sum(aside, end), "notes": notes})
    with aside.open("ab") as file:
        file.write(json.dumps(record).encode() + _LENGTH.pack(end))
    aside.replace(path)


def _reserve(path: Path) -> None:
    """Allocate a sparse file in advance: writing a mapped page without disk space would kill the process."""
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as file:
            try:
                os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
            except OSError as error:
                if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):  # not supported by the file system
                    raise


@contextmanager
def _write_errors(path: Path, size: int) -> Iterator[None]:
    """Convert `OSError` of the block to `OutputError`."""
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"{path.parent}: an array of {size / 2**30:.1f} GiB cannot be stored in the cache: "
            f"{error.strerror or error}; free some space there, or set XDG_CACHE_HOME to another folder"
        ) from error
