"""File search in folders and zip archives."""

from __future__ import annotations

import os
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from attrs import frozen

from ddmi_core.errors import DataError
from ddmi_core.sources.account import SUFFIX, account

LARGEST_FILE = 1 << 30  # bytes of one file of an archive, so that a forged archive cannot fill the memory
SUFFIXES_SHOWN = 12
HIDDEN = (".", "__MACOSX")


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
            raise DataError(f"{self.name}: cannot be read: {_reason(error)}") from error
        with file:
            yield file


def find_files(location: Path, suffixes: Sequence[str], kind: str, beside: Sequence[str] = ()) -> list[Entry]:
    """Files of a folder (with its sub-folders) or a zip archive, sorted by name.

    Links are followed, each folder is read once, and the account of the data names the files that are left out: hidden
    ones, those with other suffixes, and links that lead nowhere. An archive whose files of the kind all lie in one top
    folder is read as that folder. Bytes of a name that are not UTF-8 appear as escapes: `caf\\xe9.png`.

    Args:
        location: folder or archive.
        suffixes: accepted suffixes in lower case: `(".png", ".jpg")`.
        kind: what the files are, in the plural, for messages: `pictures`.
        beside: suffixes of further files to return, such as captions; they lie in the same top folder of an archive.

    Raises:
        DataError: if the path is missing, is neither folder nor zip archive, or has no file with one of the suffixes.
    """
    if not location.exists():
        raise DataError(f"{location}: no such folder or zip archive")
    if location.is_dir():
        found = list(_in_folder(location))
    elif zipfile.is_zipfile(location):
        found = _in_zip(location, suffixes)
    else:
        fix = "unpack this tar archive, and give its folder" if _is_tar(location) else f"give a folder of {kind}"
        raise DataError(f"{location}: neither a folder nor a zip archive; {fix}")
    wanted, others = [], []
    for entry in found:
        reason = _unwanted(PurePosixPath(entry.name), suffixes)
        if not reason:
            wanted.append(entry)
            continue
        account().leave_out(location, entry.name, reason)
        if not _unwanted(PurePosixPath(entry.name), beside):
            others.append(entry)
    if not wanted:
        known = ", ".join(suffixes[:SUFFIXES_SHOWN]) + (", ..." if len(suffixes) > SUFFIXES_SHOWN else "")
        raise DataError(f"{location}: contains no {kind}; accepted suffixes: {known}")
    account().take(location, (entry.name for entry in wanted), kind)
    return sorted([*wanted, *others], key=lambda entry: entry.name)


def _unwanted(name: PurePosixPath, suffixes: Sequence[str]) -> str:
    """Why a file is not of a kind; empty if it is."""
    if any(part.startswith(HIDDEN) for part in name.parts):
        return "hidden"
    return "" if name.suffix.lower() in suffixes else SUFFIX


def _in_folder(folder: Path) -> Iterator[Entry]:
    """Files below a folder, each real folder once: first by its own name, and then by links to it."""
    root = folder.resolve()
    read = {root}
    waiting, links = [folder], list[Path]()
    while waiting or links:
        if waiting:
            place = waiting.pop()
        else:
            place = links.pop(0)
            real, name = place.resolve(), _name(place, folder)
            if real in read or root.is_relative_to(real):
                why = "another name of a folder that is read" if real in read else "a folder around the data"
                account().leave_out(folder, name, f"link to {why}")
                continue
            read.add(real)
        try:
            inside = sorted(os.scandir(place), key=lambda item: item.name)
        except OSError as error:
            raise DataError(f"{_name(place, folder)}: the folder cannot be read: {error.strerror}") from error
        for item in inside:
            path = Path(item.path)
            if path.is_dir() and item.name.startswith(HIDDEN):
                account().leave_out(folder, f"{_name(path, folder)}/", "hidden")
            elif item.is_symlink() and path.is_dir():
                links.append(path)
            elif path.is_dir():
                if (real := path.resolve()) not in read:
                    read.add(real)
                    waiting.append(path)
            elif path.is_file():
                status = path.stat()
                stamp = f"{status.st_size} {status.st_mtime_ns}"
                yield Entry(_name(path, folder), stamp, lambda path=path: path.open("rb"))  # type: ignore[misc]
            else:
                reason = "link to nothing" if item.is_symlink() else "neither a file nor a folder"
                account().leave_out(folder, _name(path, folder), reason)


def _name(path: Path, folder: Path) -> str:
    """The path below the folder; file systems may hold names that are not UTF-8."""
    return os.fsencode(path.relative_to(folder).as_posix()).decode("utf-8", "backslashreplace")


def _in_zip(location: Path, suffixes: Sequence[str]) -> list[Entry]:
    try:
        archive = zipfile.ZipFile(location)
    except (OSError, zipfile.BadZipFile) as error:
        raise DataError(f"{location}: damaged zip archive: {error}") from error

    def read(info: zipfile.ZipInfo) -> BinaryIO:
        if info.flag_bits & 1:
            raise OSError("it is encrypted; unpack the archive with its password")
        if info.file_size > LARGEST_FILE:
            raise OSError(f"{info.file_size:,} bytes, more than the limit of {LARGEST_FILE:,} a file")
        return BytesIO(archive.read(info))

    files = [(PurePosixPath(info.filename), info) for info in archive.infolist() if not info.is_dir()]
    tops = {path.parts[0] if len(path.parts) > 1 else "" for path, _ in files if not _unwanted(path, suffixes)}
    top = tops.pop() if len(tops) == 1 else ""
    entries = []
    for path, info in files:
        name = PurePosixPath(*path.parts[1:]) if top and path.parts[0] == top else path
        entries.append(Entry(str(name), f"{info.file_size} {info.CRC}", lambda info=info: read(info)))  # type: ignore[misc]
    return entries


def _is_tar(path: Path) -> bool:
    try:
        return tarfile.is_tarfile(path)
    except OSError:
        return False


def _reason(error: Exception) -> str:
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error)
