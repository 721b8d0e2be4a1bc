"""File search in folders and zip archives."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from attrs import frozen

from ddmi_core.errors import DataError

LARGEST_FILE = 1 << 30  # bytes of one file of an archive, so that a forged archive cannot fill the memory


@frozen
class Entry:
    """One file of a folder or archive."""

    name: str  # path below the folder, or below the archive's top folder, with `/`
    stamp: str  # changes when the file changes
    reader: Callable[[], BinaryIO]

    @contextmanager
    def opened(self) -> Iterator[BinaryIO]:
        """Open the file for reading.

        Raises:
            DataError: if it cannot be read.
        """
        try:
            file = self.reader()
        except (OSError, zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
            raise DataError(f"{self.name}: cannot be read: {error}") from error
        with file:
            yield file


def find_files(location: Path, suffixes: Sequence[str], kind: str) -> list[Entry]:
    """Files of a folder (with its sub-folders) or a zip archive, sorted by name.

    Hidden files and files with other suffixes are skipped. An archive whose files all lie in one top folder is
    read as that folder.

    Args:
        location: folder or archive.
        suffixes: accepted suffixes in lower case: `(".png", ".jpg")`.
        kind: what the files are, in the plural, for messages: `pictures`.

    Raises:
        DataError: if the path is missing, is neither folder nor zip archive, or has no such file.
    """
    if not location.exists():
        raise DataError(f"{location}: no such folder or zip archive")
    if location.is_dir():
        found = _in_folder(location)
    elif zipfile.is_zipfile(location):
        found = _in_zip(location, suffixes)
    else:
        raise DataError(f"{location}: neither a folder nor a zip archive; give a folder of {kind}")
    entries = [entry for entry in found if _wanted(PurePosixPath(entry.name), suffixes)]
    if not entries:
        raise DataError(f"{location}: contains no {kind}; accepted suffixes: {', '.join(suffixes)}")
    return sorted(entries, key=lambda entry: entry.name)


def _wanted(name: PurePosixPath, suffixes: Sequence[str]) -> bool:
    hidden = any(part.startswith((".", "__MACOSX")) for part in name.parts)
    return name.suffix.lower() in suffixes and not hidden


def _in_folder(folder: Path) -> Iterator[Entry]:
    def refuse(error: OSError) -> None:
        raise DataError(f"{error.filename}: the folder cannot be read: {error.strerror}") from error

    for root, _, files in os.walk(folder, onerror=refuse, followlinks=False):
        for file in files:
            path = Path(root) / file
            name = path.relative_to(folder).as_posix()
            if path.is_file():
                status = path.stat()
                yield Entry(name, f"{status.st_size} {status.st_mtime_ns}", lambda path=path: path.open("rb"))  # type: ignore[misc]


def _in_zip(location: Path, suffixes: Sequence[str]) -> Iterator[Entry]:
    try:
        archive = zipfile.ZipFile(location)
    except (OSError, zipfile.BadZipFile) as error:
        raise DataError(f"{location}: damaged zip archive: {error}") from error

    def read(info: zipfile.ZipInfo) -> BinaryIO:
        if info.file_size > LARGEST_FILE:
            raise OSError(f"{info.file_size:,} bytes, more than the limit of {LARGEST_FILE:,} a file")
        return BytesIO(archive.read(info))

    files = [(PurePosixPath(info.filename), info) for info in archive.infolist() if not info.is_dir()]
    files = [(path, info) for path, info in files if _wanted(path, suffixes)]
    below = len({path.parts[0] for path, _ in files}) == 1 and all(len(path.parts) > 1 for path, _ in files)
    for path, info in files:
        name = PurePosixPath(*path.parts[1:]) if below else path
        yield Entry(str(name), f"{info.file_size} {info.CRC}", lambda info=info: read(info))  # type: ignore[misc]
