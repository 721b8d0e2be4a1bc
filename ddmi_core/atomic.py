"""Atomic file writes, with readable errors."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from ddmi_core.errors import OutputError


def write_error(path: Path, error: OSError) -> OutputError:
    """The error to raise for a failed write."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return OutputError(f"no space left on the disk while writing {path}. Fix: free some space and try again")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return OutputError(f"no permission to write {path}. Fix: grant it, or choose another folder")
    return OutputError(f"cannot write {path}: {error.strerror or error}")


@contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the same folder, renamed to `path` if the block succeeds.

    Raises:
        OutputError: if the file cannot be written.
    """
    aside = path.with_name(f".partial-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield aside
        aside.replace(path)
    except OSError as error:
        raise write_error(path, error) from error
    finally:
        with suppress(OSError):
            aside.unlink(missing_ok=True)


def file_bytes(write: Callable[[Path], None], suffix: str) -> bytes:
    """Bytes of the file that `write` creates at the path it is called with."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"file{suffix}"
        write(path)
        return path.read_bytes()
