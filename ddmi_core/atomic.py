"""Atomic writes: a file appears under its name when it is complete; and errors of writing as sentences."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from ddmi_core.errors import OutputError


def write_error(path: Path, error: OSError) -> OutputError:
    """The sentence for a failed write."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return OutputError(f"no space left on the disk while writing {path}; free some and try again")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return OutputError(f"no permission to write {path}; allow it, or choose another folder")
    return OutputError(f"cannot write {path}: {error.strerror or error}")


@contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`, renamed to it when the block ends well.

    Raises:
        OutputError: if it cannot be written.
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
    """The contents of a file that a function writes to the path that it is given."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"file{suffix}"
        write(path)
        return path.read_bytes()
