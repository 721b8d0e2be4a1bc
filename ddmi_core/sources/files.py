"""File search in folders, zip archives, tar archives, and tables of files."""

from __future__ import annotations

import codecs
import json
import os
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

import numpy as np
from attrs import evolve, frozen

from ddmi_core.errors import DataError
from ddmi_core.sources.account import SUFFIX, account
from ddmi_core.sources.array_cache import ArrayCache, Rows
from ddmi_core.sources.arrow_tables import TABLES, listed_tables, table_rows
from ddmi_core.sources.splits import split_in

LARGEST_FILE = 1 << 30  # bytes of one file of an archive, so that a forged archive cannot fill the memory
TAR = ".tar"
RECORD = ".json"  # beside a file: a record with its captions
SUFFIXES_SHOWN = 12
HIDDEN_NAMES = (".", "__MACOSX")  # beginnings
ARCHIVES = (".zip", TAR, *TABLES)

# Reasons to leave out files, which follow a number of them.
HIDDEN = "hidden"
NOWHERE = "linked to nothing"
READ_ALREADY = "linked to a folder that is read already"
AROUND = "linked to a folder around the data"
SPECIAL = "neither a file nor a folder"
UNOPENED = "archives or tables beside files, which are not opened"

# What archives raise that are damaged, encrypted or of a kind that cannot be read.
DAMAGED = (OSError, EOFError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error, struct.error)
INDICES = ArrayCache("indices", arrays=4096, room=1 << 30)

# What files of no kind of data begin with, in lower case; often what a failed download leaves under any suffix.
FOREIGN = {
    b"<!doctype": "a web page",
    b"<html": "a web page",
    b"<?xml": "an XML document, such as a server's error message",
    b"%pdf": "a PDF document",
    b"version https://git-lfs": "a pointer of Git LFS",
}
HEAD = 64  # bytes


@frozen
class Entry:
    """One file of a folder or archive."""

    name: str  # path below the folder, or below the archive's top folder, with `/`
    stamp: str  # changes when the file changes
    reader: Callable[[], BinaryIO]

    @contextmanager
    def opened(self, fix: str = "copy or download it again, or remove it") -> Iterator[BinaryIO]:
        """Open the file for reading.

        Args:
            fix: what to do about an empty or foreign file, for the error.

        Raises:
            DataError: if it cannot be read, or is empty, or is a web page or the like; see `check_content`.
        """
        try:
            file = self.reader()
        except DAMAGED as error:
            raise DataError(f"{self.name}: cannot be read: {_reason(error)}") from error
        with file:
            check_content(file.read(HEAD), self.name, fix)
            file.seek(0)
            yield file


def find_files(location: Path, suffixes: Sequence[str], kind: str, beside: Sequence[str] = ()) -> list[Entry]:
    """Files of a folder with its sub-folders, a zip archive or uncompressed tar archives, sorted by name, or of tables.

    Links are followed, each folder is read once, and the account of the data names the files that are left out: hidden
    ones, those with other suffixes, and links that lead nowhere. An archive whose files of the kind all lie in one top
    folder is read as that folder. A folder with tar archives and no file of the kind is read as these archives, such as
    the shards of WebDataset; likewise one with Parquet or Arrow tables, whose rows are files: see `table_rows`. Rows
    stay in the order of the tables. Their names have the folder `train` or `test` if the names of all tables tell a
    split, then that of their class. Bytes of a name that are not UTF-8 appear as escapes: `caf\\xe9.png`.

    Args:
        location: folder, archive, table, or folder of tar archives or tables.
        suffixes: accepted suffixes in lower case: `(".png", ".jpg")`.
        kind: what the files are, in the plural, for messages: `pictures`.
        beside: suffixes of further files to return, such as captions; they lie in the same top folder of an archive.

    Raises:
        DataError: if the path is missing, is neither folder nor archive, is damaged, or has no file with one of the
            suffixes.
    """
    if not location.exists():
        raise DataError(f"{location}: no such folder or archive")
    check_regular(location)
    found, rows = list[Entry](), list[Entry]()
    if location.is_dir():
        found = list(_in_folder(location))
        if all(_unwanted(PurePosixPath(entry.name), suffixes) for entry in found):
            names = [entry.name for entry in found if not _unwanted(PurePosixPath(entry.name), (TAR, *TABLES))]
            tables = [name for name in names if not name.lower().endswith(TAR)]
            tars = [location / name for name in names if name.lower().endswith(TAR)]
            found = [*_in_tars(tars, suffixes), *(entry for entry in found if entry.name not in set(names))]
            rows = _in_tables(location, listed_tables(location, sorted(tables)), suffixes, RECORD in beside)
    elif location.suffix.lower() in TABLES:
        rows = _in_tables(location.parent, [location.name], suffixes, RECORD in beside)
    elif zipfile.is_zipfile(location):
        found = _in_zip(location, suffixes)
    elif _is_tar(location):
        found = _in_tars([location], suffixes)
    else:
        raise DataError(
            f"{location}: neither a folder nor an archive (zip, tar) or table (Parquet, Arrow); give a folder of {kind}"
        )
    wanted, kept = [], []
    for entry in [*sorted(found, key=lambda entry: entry.name), *rows]:
        reason = _unwanted(PurePosixPath(entry.name), suffixes)
        if not reason:
            wanted.append(entry)
        else:
            account().leave_out(location, entry.name, reason)
        if not reason or not _unwanted(PurePosixPath(entry.name), beside):
            kept.append(entry)
    if not wanted:
        known = ", ".join(suffixes[:SUFFIXES_SHOWN]) + (", ..." if len(suffixes) > SUFFIXES_SHOWN else "")
        raise DataError(f"{location}: contains no {kind}; accepted suffixes: {known}")
    account().take(location, (entry.name for entry in wanted), kind, again=False)
    return kept


def check_content(head: bytes, name: str, fix: str) -> None:
    """Refuse what no reader of data can use, whatever its suffix: an empty file, or one of `FOREIGN`.

    Args:
        head: the first bytes of the file; all of them, if there are fewer than `HEAD`.
        name: for the message.
        fix: what to do about it.

    Raises:
        DataError: for such a file.
    """
    if not head:
        raise DataError(f"{name}: is empty. Fix: {fix}")
    start = head.removeprefix(codecs.BOM_UTF8).lstrip().lower()
    what = next((what for begin, what in FOREIGN.items() if start.startswith(begin)), "")
    if what:
        suffix = PurePosixPath(name).suffix.lower()
        do = "get the file itself with `git lfs pull`" if "LFS" in what else fix
        raise DataError(f"{name}: is {what}, not a {suffix} file. Fix: {do}")


def given_file(path: Path, kind: str) -> Entry:
    """A single file that a user names; its path is its name in messages.

    Args:
        path: of the file.
        kind: what it should be, for messages: `mesh file`.

    Raises:
        DataError: if it is missing, or a folder, pipe or device.
    """
    check_regular(path)
    if not path.is_file():
        raise DataError(f"{path}: {f'a folder, not a {kind}' if path.is_dir() else 'no such file'}")
    return Entry(str(path), _stamp(path.stat()), partial(_open, str(path)))


def check_regular(path: Path) -> None:
    """Refuse what is neither a file nor a folder: reading a pipe or a device may never end.

    Raises:
        DataError: if it is a pipe, a socket or a device.
    """
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise DataError(f"{path}: neither a regular file nor a folder, but a pipe, socket or device; give a file")


def _unwanted(name: PurePosixPath, suffixes: Sequence[str]) -> str:
    """Why a file is not of a kind; empty if it is."""
    if any(part.startswith(HIDDEN_NAMES) for part in name.parts):
        return HIDDEN
    suffix = name.suffix.lower()
    return "" if suffix in suffixes else UNOPENED if suffix in ARCHIVES else SUFFIX


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
                account().leave_out(folder, name, READ_ALREADY if real in read else AROUND)
                continue
            read.add(real)
        try:
            inside = sorted(os.scandir(place), key=lambda item: item.name)
        except OSError as error:
            raise DataError(f"{_name(place, folder)}: the folder cannot be read: {error.strerror}") from error
        below = "" if place == folder else f"{_name(place, folder)}/"
        for item in inside:  # by system calls of the entry, because there may be millions
            name = f"{below}{_text(item.name)}"
            if item.is_file():
                yield Entry(name, _stamp(item.stat()), partial(_open, item.path))
            elif not item.is_dir():
                account().leave_out(folder, name, NOWHERE if item.is_symlink() else SPECIAL)
            elif item.name.startswith(HIDDEN_NAMES):
                account().leave_out(folder, f"{name}/", HIDDEN)
            elif item.is_symlink():
                links.append(Path(item.path))
            elif (real := Path(item.path).resolve()) not in read:
                read.add(real)
                waiting.append(Path(item.path))


def _name(path: Path, folder: Path) -> str:
    """The path below the folder; file systems may hold names that are not UTF-8."""
    return _text(path.relative_to(folder).as_posix())


def _open(path: str) -> BinaryIO:
    return Path(path).open("rb")


def _stamp(status: os.stat_result) -> str:
    return f"{status.st_size} {status.st_mtime_ns}"


def _text(name: str) -> str:
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _in_zip(location: Path, suffixes: Sequence[str]) -> list[Entry]:
    try:
        archive = zipfile.ZipFile(location)
    except DAMAGED as error:
        raise DataError(f"{location}: damaged zip archive: {_reason(error)}") from error

    opened = {os.getpid(): archive}  # processes that share an open file would move each other's place in it

    def read(info: zipfile.ZipInfo) -> BinaryIO:
        if info.flag_bits & 1:
            raise OSError("it is encrypted; unpack the archive with its password")
        if info.file_size > LARGEST_FILE:
            raise OSError(f"{info.file_size:,} bytes, more than the limit of {LARGEST_FILE:,} a file")
        if os.getpid() not in opened:
            opened[os.getpid()] = zipfile.ZipFile(location)
        with opened[os.getpid()].open(info) as file:
            # Without a number, all is inflated before it is cut at the declared size, which may be forged.
            return BytesIO(file.read(info.file_size + 1))

    return _below_top(
        [
            Entry(str(PurePosixPath(info.filename)), f"{info.file_size} {info.CRC}", partial(read, info))
            for info in archive.infolist()
            if not info.is_dir()
        ],
        suffixes,
    )


def _below_top(entries: Sequence[Entry], suffixes: Sequence[str]) -> list[Entry]:
    """Entries of an archive, named below its top folder if all of the kind are in one."""
    paths = [PurePosixPath(entry.name) for entry in entries]
    tops = {path.parts[0] if len(path.parts) > 1 else "" for path in paths if not _unwanted(path, suffixes)}
    top = tops.pop() if len(tops) == 1 else ""
    return [
        evolve(entry, name=str(PurePosixPath(*path.parts[1:]))) if top and path.parts[0] == top else entry
        for entry, path in zip(entries, paths, strict=True)
    ]


def _in_tars(archives: Sequence[Path], suffixes: Sequence[str]) -> list[Entry]:
    """Files of tar archives. If archives have files of equal names, all names get that of their archive before them."""
    found = [(path, _below_top(list(_in_tar(path)), suffixes)) for path in archives]
    names = [entry.name for _, entries in found for entry in entries]
    if len(set(names)) == len(names):
        return [entry for _, entries in found for entry in entries]
    return [evolve(entry, name=_prefixed(path.stem, entry.name)) for path, entries in found for entry in entries]


def _prefixed(prefix: str, name: str) -> str:
    path = PurePosixPath(name)
    return str(path.with_name(f"{prefix}:{path.name}"))


def _in_tar(location: Path) -> Iterator[Entry]:
    """Files of an uncompressed tar archive, whose places in it are read once and kept in the user's cache."""
    status = location.stat()
    stamp = _stamp(status)

    def index() -> tuple[Rows, list[tuple[str, int, int]]]:
        try:
            with tarfile.open(location, "r:") as archive:
                # Of files with the same name, the last one counts, as when a tar archive is unpacked.
                last = {member.name: member for member in archive if member.isreg()}
        except (OSError, tarfile.TarError) as error:
            fix = "; a compressed one must be unpacked" if _is_tar(location) else ""
            raise DataError(f"{location}: not an uncompressed tar archive, or damaged: {error}{fix}") from error
        files = [(name, member.offset_data, member.size) for name, member in last.items()]
        if any(place + size > status.st_size for _, place, size in files):
            raise DataError(f"{location}: damaged tar archive: its end is missing")
        return np.zeros(0), files

    def read(place: int, size: int) -> BinaryIO:
        if size > LARGEST_FILE:
            raise OSError(f"{size:,} bytes, more than the limit of {LARGEST_FILE:,} a file")
        with location.open("rb") as file:
            file.seek(place)
            return BytesIO(file.read(size))

    _, files = INDICES.noted(["tar", str(location.resolve()), stamp], index)
    INDICES.tidy()
    for name, place, size in files:
        yield Entry(str(PurePosixPath(name)), f"{place} {size} {stamp}", partial(read, place, size))


def _in_tables(location: Path, names: Sequence[str], suffixes: Sequence[str], captions: bool) -> list[Entry]:
    """Files in rows of tables: `train/CLASS/TABLE:000012.png`, with their captions as records beside them."""
    entries = []
    splits = [split_in(name) for name in names]
    told = all(splits) and len(set(splits)) > 1
    for name, split in zip(names, splits, strict=True):
        path = location / name
        stamp = _stamp(path.stat())
        table = str(PurePosixPath(name).with_suffix("")).replace("/", "-")
        for row in table_rows(path, stamp, captions):
            below = PurePosixPath(split if told else "", row.label, f"{table}:{row.number:06d}")
            suffix = PurePosixPath(row.path).suffix or suffixes[0]  # decoders tell formats by contents
            entries.append(Entry(f"{below}{suffix}", f"{row.number} {stamp}", row.reader))
            if row.captions:
                entries.append(Entry(f"{below}{RECORD}", f"{row.number} {stamp}", partial(_record, row.captions)))
    return entries


def _record(values: dict[str, Any]) -> BinaryIO:
    return BytesIO(json.dumps(values).encode())


def _is_tar(path: Path) -> bool:
    try:
        return tarfile.is_tarfile(path)
    except OSError:
        return False


def _reason(error: Exception) -> str:
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error) or "its end is missing"
