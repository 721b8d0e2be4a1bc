"""Atomic file writes, with readable errors."""

from __future__ import annotations

import errno
import hashlib
import os
import platform
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from ddmi_core.errors import OutputError
from ddmi_core.process_identity import started

PARTIAL = ".partial-"
ABANDONED = 24 * 3600  # seconds without a write after which a temporary file of another machine is removed
_GUARDS: dict[Path, Callable[[], None]] = {}  # by folder
_NAMED = re.compile(rf"({re.escape(PARTIAL)}[0-9a-f]{{6}})-([0-9]{{1,9}})-")


def write_error(path: Path, error: OSError) -> OutputError:
    """The error to raise for a failed write."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return OutputError(f"no space left on the disk while writing {path}. Fix: free some space and try again")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return OutputError(f"no permission to write {path}. Fix: grant it, or choose another folder")
    return OutputError(f"cannot write {path}: {error.strerror or error}")


@contextmanager
def guarded(folder: Path, check: Callable[[], None]) -> Iterator[None]:
    """Call `check` before a file inside of a folder is written by this process: what it raises keeps the file away."""
    place = folder.absolute()
    _GUARDS[place] = check
    try:
        yield
    finally:
        del _GUARDS[place]


def check_guards(path: Path) -> None:
    """Raise what the guard of a folder raises in which a file is to be written; see `guarded`."""
    for folder in path.absolute().parents:
        if folder in _GUARDS:
            _GUARDS[folder]()


@contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the same folder, renamed to `path` if the block succeeds.

    The file is flushed to the disk before it is renamed, and the folder after that. Temporary files that killed
    processes have left in the folder are removed.

    Raises:
        OutputError: if the file cannot be written, or a guard of the folder refuses it.
    """
    aside = path.with_name(f"{temporary_prefix()}{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(path.parent.absolute())
        yield aside
        _flush(aside)
        check_guards(path)
        aside.replace(path)
        _flush(path.parent)
    except OSError as error:
        raise write_error(path, error) from error
    finally:
        with suppress(OSError):
            aside.unlink(missing_ok=True)


def temporary_prefix() -> str:
    """Begin of the names of this process's temporary files: the machine and the process are in it."""
    return f"{PARTIAL}{hashlib.sha256(platform.node().encode()).hexdigest()[:6]}-{os.getpid()}-"


@cache
def _remove_abandoned(folder: Path) -> None:
    """Remove temporary files of processes that have ended: those of this machine, or that nobody has written for long.

    Once for each folder and process.
    """
    here = temporary_prefix().rpartition("-")[0].rpartition("-")[0]
    with suppress(OSError):
        for path in folder.glob(f"{PARTIAL}*"):
            found = _NAMED.match(path.name)
            with suppress(OSError):
                old = time.time() - path.stat().st_mtime > ABANDONED
                if old or (found and found[1] == here and not started(int(found[2]))):
                    path.unlink()


def _flush(path: Path) -> None:
    """Flush a file or folder to the disk, where the system can."""
    if path.is_dir() and os.name != "posix":
        return
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EROFS, errno.ENOTSUP):  # of special file systems
            raise
    finally:
        os.close(handle)


def file_bytes(write: Callable[[Path], None], suffix: str) -> bytes:
    """Bytes of the file that `write` creates at the path it is called with."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"file{suffix}"
        write(path)
        return path.read_bytes()
