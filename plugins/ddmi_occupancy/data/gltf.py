"""Reader of glTF and GLB files, by trimesh, with the causes of what it cannot read."""

from __future__ import annotations

import io
import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np

from ddmi_core.errors import DataError
from ddmi_core.parts import given_file, json_value
from ddmi_occupancy.data.ply import AGAIN
from ddmi_occupancy.geometry.mesh import TriangleMesh

LONGEST = 120  # characters of an address in messages
DRACO, MESHOPT = "KHR_draco_mesh_compression", "EXT_meshopt_compression"


def read_gltf(data: bytes, name: str, beside: Path | None) -> TriangleMesh:
    """The meshes of the scene, transformed and merged.

    Args:
        data: contents of the file.
        name: for messages; its suffix selects the format.
        beside: folder of the file, which may contain its buffers; None in an archive.

    Raises:
        DataError: if the file is damaged or compressed, a buffer is missing, or it names files outside of its folder.
    """
    import trimesh

    kind, tree = Path(name).suffix.lower()[1:], gltf_tree(data, name)
    _check_compression(tree, name)
    _check_places(tree, name, beside)
    if missing := _absent_buffers(tree, beside):
        where = "is missing; put it in the same folder" if beside else "cannot be read from an archive; unpack it"
        raise DataError(
            f"{name}: its buffer {missing[0]} {where}, or convert the mesh to GLB, which contains its buffers"
        )
    folder = None if beside is None else beside / Path(name).name

    class Resolver(trimesh.resolvers.FilePathResolver):
        """Finds buffers also by the names that are percent-encoded in their addresses."""

        def get(self, uri: str) -> Any:
            """The contents of a buffer."""
            found = None if beside is None else _inside(beside, uri)
            if found is None:
                raise DataError(f"{name}: names the file {uri[:LONGEST]!r} outside of its folder")
            with given_file(found, "buffer").opened("export the mesh again") as file:
                return file.read()

    options: dict[str, Any] = {"skip_materials": True, "process": False, "maintain_order": True}
    if folder is not None:
        options["resolver"] = Resolver(str(folder))
    try:
        merged = trimesh.load_scene(io.BytesIO(data), file_type=kind, **options).to_mesh()
        return TriangleMesh(np.array(merged.vertices, dtype=np.float64), np.array(merged.faces, dtype=np.int64))
    except DataError:
        raise
    except Exception as error:
        raise DataError(f"{name}: cannot be read as {kind}: {error or type(error).__name__}") from error


def gltf_tree(data: bytes, name: str) -> dict[str, Any]:
    """The JSON of a file.

    Raises:
        DataError: if it cannot be parsed, or the file is shorter than it says.
    """
    if data.startswith(b"glTF"):
        length = int.from_bytes(data[8:12], "little")
        if len(data) < max(length, 20):
            raise DataError(f"{name}: the file is cut short: it has {len(data):,} of {length:,} bytes. Fix: {AGAIN}")
        data = data[20 : 20 + int.from_bytes(data[12:16], "little")]
    found = json_value(data, name, AGAIN)
    return found if isinstance(found, dict) else {}


def _check_compression(tree: dict[str, Any], name: str) -> None:
    """Refuse geometry that only a further decoder could read."""
    text = json.dumps([tree.get("meshes"), tree.get("bufferViews")])
    if f'"{DRACO}"' in text and find_spec("DracoPy") is None:
        raise DataError(
            f"{name}: compressed with Draco ({DRACO}), which needs the package DracoPy: pip install DracoPy, or export "
            "the mesh without compression"
        )
    if f'"{MESHOPT}"' in text:
        raise DataError(
            f"{name}: compressed with meshopt ({MESHOPT}), which is not read; export it without compression"
        )


def _check_places(tree: dict[str, Any], name: str, beside: Path | None) -> None:
    """Refuse buffers and images that are files outside of the folder, or no regular files."""
    for uri in _uris(tree):
        if beside is not None and _inside(beside, uri) is None:
            raise DataError(
                f"{name}: names the file {uri[:LONGEST]!r}, which is not in its folder; only files there are read. "
                "Fix: export the mesh again, or convert it to GLB, which contains its buffers"
            )


def _uris(tree: dict[str, Any]) -> list[str]:
    """Addresses of files in buffers and images; not those that contain their data."""
    lists = [tree.get(key) for key in ("buffers", "images")]
    items = [item for each in lists if isinstance(each, list) for item in each if isinstance(item, dict)]
    uris = [item["uri"] for item in items if isinstance(item.get("uri"), str)]
    return [uri for uri in uris if not uri.startswith("data:")]


def _inside(folder: Path, uri: str) -> Path | None:
    """The file in a folder that an address names, also percent-encoded; `None` if it is elsewhere, or no regular file.

    A file that does not exist, in the folder, is not elsewhere.
    """
    for written in (uri, unquote(uri)):
        try:
            place = folder / written
            if not place.resolve().is_relative_to(folder.resolve()) or (place.exists() and not place.is_file()):
                return None
            if place.is_file():
                return place
        except (OSError, ValueError):  # too long, or with a zero byte
            return None
    return place


def _absent_buffers(tree: dict[str, Any], beside: Path | None) -> list[str]:
    """Buffer files that a glTF file refers to and that do not exist; none if it cannot be parsed."""
    try:
        outer = [buffer["uri"] for buffer in tree["buffers"] if "uri" in buffer]
        outer = [uri for uri in outer if not uri.startswith("data:")]
    except (LookupError, TypeError, AttributeError):
        return []
    there = {uri: None if beside is None else _inside(beside, uri) for uri in outer}
    return [unquote(uri) for uri, place in there.items() if place is None or not place.is_file()]
