"""Reader of the elements of PLY files, text and binary, with lists of any lengths."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import numpy.typing as npt
from attrs import field, frozen

from ddmi_core.errors import DataError

AGAIN = "copy or export it again"
DIGITS = 18  # of a count
HEADER = re.compile(rb"^[^\S\n]*end_header[^\S\n]*\n", re.MULTILINE)
TYPES = {
    **{"char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1", "short": "i2", "int16": "i2", "ushort": "u2"},
    **{"uint16": "u2", "int": "i4", "int32": "i4", "uint": "u4", "uint32": "u4"},
    **{"float": "f4", "float32": "f4", "double": "f8", "float64": "f8"},
}

Column = npt.NDArray[Any] | tuple[npt.NDArray[Any], npt.NDArray[Any]]  # values; of a list, lengths and all its values


@frozen
class _Element:
    name: str
    count: int
    properties: list[tuple[str, ...]] = field(factory=list)  # (name, type), or (name, type of the length, type)


def ply_elements(data: bytes, name: str) -> dict[str, dict[str, Column]]:
    """The properties of all elements of a PLY file, by the names of element and property.

    Args:
        data: contents of the file.
        name: for messages.

    Raises:
        DataError: if the header cannot be read, or the file is cut short.
    """
    kind, elements, start = _header(data, name)
    columns: dict[str, dict[str, Column]] = {}
    try:
        if kind == "ascii":
            words, place = data[start:].split(), 0
            for element in elements:
                columns[element.name], place = _text(words, place, element)
        else:
            order = ">" if kind == "binary_big_endian" else "<"
            for element in elements:
                columns[element.name], start = _binary(data, start, element, order)
    except EOFError as error:
        raise DataError(f"{name}: the file is cut short in its element {error}; {AGAIN}") from error
    except ValueError as error:
        raise DataError(f"{name}: cannot be read as ply: {error}; {AGAIN}") from error
    return columns


def has_faces(data: bytes, name: str) -> bool:
    """Whether a PLY file has other elements with items than points.

    Raises:
        DataError: if the header cannot be read.
    """
    return any(element.count for element in _header(data, name)[1] if element.name in ("face", "tristrips"))


def _header(data: bytes, name: str) -> tuple[str, list[_Element], int]:
    """Format, elements, and the first byte behind the header."""
    head = data[: 1 << 16]
    if b"\r" in head[:5] and head[4:5] != b"\n" and head[3:5] != b"\r\n":
        head = head.replace(b"\r", b"\n")
    end = HEADER.search(head)
    if not head.startswith(b"ply") or end is None:
        raise DataError(f"{name}: cannot be read as ply: no header from `ply` to `end_header`; {AGAIN}")
    kind, elements = "", []
    for line in head[: end.start()].decode("latin-1").splitlines():
        match line.split():
            case ["format", found, *_]:
                kind = found
            case ["element", found, count] if count.isdecimal() and len(count) <= DIGITS:
                elements.append(_Element(found, int(count)))
            case ["property", "list", length, of, found] if elements and {length, of} <= TYPES.keys():
                elements[-1].properties.append((found, TYPES[length], TYPES[of]))
            case ["property", of, found] if elements and of in TYPES:
                elements[-1].properties.append((found, TYPES[of]))
            case ["ply"] | ["comment" | "obj_info", *_] | []:
                pass
            case _:
                raise DataError(f"{name}: cannot be read as ply: unknown line {line.strip()!r} in its header; {AGAIN}")
    if kind not in ("ascii", "binary_little_endian", "binary_big_endian"):
        raise DataError(f"{name}: cannot be read as ply: unknown format {kind!r}; {AGAIN}")
    return kind, elements, end.end()


def _text(words: list[bytes], place: int, element: _Element) -> tuple[dict[str, Column], int]:
    """The columns of an element from words, and the place behind it."""
    if all(len(each) == 2 for each in element.properties):
        wide = len(element.properties)
        end = place + element.count * wide
        if end > len(words):
            raise EOFError(element.name)
        table = np.array(words[place:end], dtype=np.float64).reshape(element.count, wide)
        return {each[0]: table[:, k] for k, each in enumerate(element.properties)}, end
    lengths: dict[str, list[int]] = {each[0]: [] for each in element.properties}
    values: dict[str, list[bytes]] = {each[0]: [] for each in element.properties}
    for _ in range(element.count):
        for each in element.properties:
            size = 1
            if len(each) == 3:
                if place >= len(words):
                    raise EOFError(element.name)
                size, place = int(words[place]), place + 1
            values[each[0]] += words[place : place + size]
            lengths[each[0]].append(size)
            place += size
        if place > len(words):
            raise EOFError(element.name)
    found: dict[str, Column] = {}
    for each in element.properties:
        column = np.array(values[each[0]], dtype=np.float64)
        found[each[0]] = column if len(each) == 2 else (np.array(lengths[each[0]]), column)
    return found, place


def _binary(data: bytes, start: int, element: _Element, order: str) -> tuple[dict[str, Column], int]:
    """The columns of an element from bytes, and the place behind it."""
    if not element.count:
        empty = np.zeros(0)
        return {each[0]: empty if len(each) == 2 else (empty, empty) for each in element.properties}, start
    sizes = {}
    place = start
    for each in element.properties:  # lengths of the lists of the first row, which are often those of all
        if len(each) == 3:
            sizes[each[0]] = _one(data, place, order + each[1], element)
            place += np.dtype(each[1]).itemsize + sizes[each[0]] * np.dtype(each[2]).itemsize
        else:
            place += np.dtype(each[1]).itemsize
    row: list[Any] = []
    for each in element.properties:
        if len(each) == 3:
            row += [(f"{each[0]} length", order + each[1]), (each[0], order + each[2], (sizes[each[0]],))]
        else:
            row.append((each[0], order + each[1]))
    kind = np.dtype(row)
    if start + kind.itemsize * element.count <= len(data):
        table = np.frombuffer(data, kind, element.count, start)
        if all((table[f"{key} length"] == size).all() for key, size in sizes.items()):
            return {
                each[0]: table[each[0]]
                if len(each) == 2
                else (np.full(element.count, sizes[each[0]]), table[each[0]].reshape(-1))
                for each in element.properties
            }, start + kind.itemsize * element.count
    elif not sizes:
        raise EOFError(element.name)
    return _rows(data, start, element, order)


def _rows(data: bytes, start: int, element: _Element, order: str) -> tuple[dict[str, Column], int]:
    """As `_binary`, row by row, since lists differ in length."""
    lengths: dict[str, list[int]] = {each[0]: [] for each in element.properties}
    parts: dict[str, list[bytes]] = {each[0]: [] for each in element.properties}
    place = start
    for _ in range(element.count):
        for each in element.properties:
            size = 1
            if len(each) == 3:
                size = _one(data, place, order + each[1], element)
                place += np.dtype(each[1]).itemsize
            end = place + size * np.dtype(each[-1]).itemsize
            if end > len(data):
                raise EOFError(element.name)
            parts[each[0]].append(data[place:end])
            lengths[each[0]].append(size)
            place = end
    found: dict[str, Column] = {}
    for each in element.properties:
        column = np.frombuffer(b"".join(parts[each[0]]), order + each[-1])
        found[each[0]] = column if len(each) == 2 else (np.array(lengths[each[0]]), column)
    return found, place


def _one(data: bytes, place: int, kind: str, element: _Element) -> int:
    """One number, the length of a list."""
    if place + np.dtype(kind).itemsize > len(data):
        raise EOFError(element.name)
    size = int(np.frombuffer(data, kind, 1, place)[0])
    if size < 0:
        raise ValueError(f"a list of {size} values in its element {element.name}")
    return size
