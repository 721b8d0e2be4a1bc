"""Readers of OBJ, OFF and STL files, and of the points and polygons of PLY files, as triangles."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ddmi_core.errors import DataError, counted
from ddmi_occupancy.data.ply import AGAIN, ply_elements
from ddmi_occupancy.data.polygons import triangulated
from ddmi_occupancy.geometry.mesh import Array, TriangleMesh

STL_HEADER, STL_FACET = 84, 50  # bytes
STL_FACETS = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
NUMBERS = r"[^\S\n]+(\S+)" * 3
VERTEX = re.compile(rf"^[^\S\n]*vertex{NUMBERS}", re.IGNORECASE | re.MULTILINE)

Index = npt.NDArray[np.int64]


def decoded(data: bytes) -> str:
    """The text of a file of numbers, with `\\n` at the ends of lines.

    Names and comments may be of any encoding: what is no UTF-8, and no UTF-16 with a byte-order mark, is read as
    Latin-1, in which every byte is a character.
    """
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = data.decode("utf-16", errors="replace")
    else:
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = data.decode("latin-1")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_obj(data: bytes, name: str) -> TriangleMesh:
    """The faces of all objects of a Wavefront OBJ file; everything else is ignored.

    Raises:
        DataError: if a number cannot be read, or a face names a vertex that is not there.
    """
    lines = decoded(data).replace("\\\n", " ").split("\n")
    places: list[Sequence[str]] = []
    corners: list[str] = []
    counts: list[int] = []
    before: list[int] = []  # vertices before each face, for indices from the end
    for line in lines:
        words = line.split()
        if len(words) > 3 and words[0] == "v":
            places.append(words[1:4])
        elif len(words) > 1 and words[0] == "f":
            corners += words[1:]
            counts.append(len(words) - 1)
            before.append(len(places))
    vertices = _numbers(places, name)
    try:
        index = np.array([int(corner.partition("/")[0]) for corner in corners], dtype=np.int64)
    except ValueError as error:
        raise DataError(f"{name}: a face has a corner that is no number: {error}; {AGAIN}") from error
    sizes = np.array(counts, dtype=np.int64)
    index = np.where(index < 0, index + np.repeat(np.array(before, dtype=np.int64), sizes) + 1, index)
    if not (index > 0).all():
        raise DataError(f"{name}: a face names vertex 0 or one before the first; vertices count from 1; {AGAIN}")
    return triangulated(vertices, sizes, index - 1, name)


def read_off(data: bytes, name: str) -> TriangleMesh:
    """The polygons of an OFF file; colours, normals and texture coordinates are ignored.

    Raises:
        DataError: if the header or a number cannot be read, or the file is cut short.
    """
    lines = [words for line in decoded(data).split("\n") if (words := line.partition("#")[0].split())]
    head = re.match(r"(?:ST|C|N|4|n)*OFF", lines[0][0]) if lines else None
    if head is None:
        raise DataError(f"{name}: cannot be read as off: its first line is not OFF; {AGAIN}")
    if "4" in head.group() or "n" in head.group():
        raise DataError(f"{name}: cannot be read as off: it has points of four or more dimensions; export three")
    rest = [lines[0][0][head.end() :], *lines[0][1:]]
    lines[0] = [word for word in rest if word]  # ModelNet has the counts on this line
    if not lines[0]:
        del lines[0]
    try:
        count, faces = int(lines[0][0]), int(lines[0][1])
        if len(lines) < 1 + count + faces:
            raise _cut(name, len(lines) - 1, count + faces, "line")
        vertices = _numbers([line[:3] for line in lines[1 : 1 + count]], name)
        rows = lines[1 + count : 1 + count + faces]
        sizes = np.array([int(row[0]) for row in rows], dtype=np.int64)
        index = [int(word) for row, size in zip(rows, sizes, strict=True) for word in row[1 : 1 + size]]
    except (ValueError, IndexError) as error:
        raise DataError(
            f"{name}: cannot be read as off: a number of vertices or a face is no number: {error}; {AGAIN}"
        ) from error
    if len(index) != sizes.sum():
        raise DataError(f"{name}: cannot be read as off: a face has fewer corners than it says; {AGAIN}")
    return triangulated(vertices, sizes, np.array(index, dtype=np.int64), name)


def read_stl(data: bytes, name: str) -> TriangleMesh:
    """The triangles of a binary or text STL file.

    Bytes behind the triangles that a binary file announces are ignored, and a count of 0, which some writers leave,
    means all.

    Raises:
        DataError: if the file is cut short or is no STL file.
    """
    count = int.from_bytes(data[80:STL_HEADER], "little") if len(data) >= STL_HEADER else 0
    there = max(0, len(data) - STL_HEADER) // STL_FACET
    exact = len(data) == STL_HEADER + STL_FACET * count
    if not exact and data.lstrip()[:5].lower() == b"solid" and b"facet" in data[:4096].lower():
        corners = _text_facets(decoded(data), name)
    elif exact or b"\0" in data[:1024]:
        if count > there:
            raise _cut(name, there, count, "triangle")
        corners = np.frombuffer(data, STL_FACETS, count or there, STL_HEADER)["corners"].astype(np.float64)
    else:
        raise DataError(f"{name}: cannot be read as stl: neither binary nor with facets as text; {AGAIN}")
    return TriangleMesh(corners.reshape(-1, 3), np.arange(3 * len(corners)).reshape(-1, 3))


def read_ply(data: bytes, name: str) -> TriangleMesh:
    """The polygons of a PLY file; no faces if it is a point cloud.

    Raises:
        DataError: if the file is damaged, cut short, or has no vertices.
    """
    elements = ply_elements(data, name)
    vertex = elements.get("vertex", {})
    if not {"x", "y", "z"} <= vertex.keys():
        raise DataError(f"{name}: cannot be read as ply: it has no vertices with x, y and z; {AGAIN}")
    vertices = np.stack([np.asarray(vertex[axis], dtype=np.float64) for axis in "xyz"], axis=1)
    if "tristrips" in elements and "face" not in elements:
        raise DataError(f"{name}: it has triangle strips, which are not read; export it with faces")
    face = elements.get("face", {})
    found = next((face[key] for key in ("vertex_indices", "vertex_index") if key in face), None)
    sizes, index = found if isinstance(found, tuple) else (np.zeros(0, dtype=np.int64),) * 2
    return triangulated(vertices, sizes.astype(np.int64), index.astype(np.int64), name)


READERS: dict[str, Callable[[bytes, str], TriangleMesh]] = {
    ".obj": read_obj,
    ".off": read_off,
    ".stl": read_stl,
    ".ply": read_ply,
}


def _text_facets(text: str, name: str) -> npt.NDArray[Any]:
    """The corners `(F, 3, 3)` of the facets of a text STL file."""
    found = VERTEX.findall(text)
    begun = len(re.findall(r"^[^\S\n]*facet\b", text, re.IGNORECASE | re.MULTILINE))
    ended = len(re.findall(r"^[^\S\n]*endfacet\b", text, re.IGNORECASE | re.MULTILINE))
    if begun != ended or len(found) < 3 * begun:
        raise _cut(name, ended, begun, "facet")
    if len(found) != 3 * begun:
        raise DataError(f"{name}: cannot be read as stl: a facet has not three corners; {AGAIN}")
    return _numbers(found, name).reshape(-1, 3, 3)


def _numbers(rows: Sequence[Sequence[str]], name: str) -> Array:
    """Coordinates `(N, 3)` from words."""
    try:
        return np.array(rows, dtype=np.float64).reshape(-1, 3)
    except ValueError as error:
        commas = any("," in word for row in rows[:9] for word in row)
        fix = "export it with decimal points, not commas" if commas else AGAIN
        raise DataError(f"{name}: a coordinate is no number: {error}; {fix}") from error


def _cut(name: str, there: int, wanted: int, what: str) -> DataError:
    return DataError(f"{name}: the file is cut short: it has {there} of {counted(wanted, what)}; {AGAIN}")
