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
from ddmi_occupancy.geometry.mesh import TriangleMesh

DRACO, MESHOPT = "KHR_draco_mesh_compression", "EXT_meshopt_compression"


def read_gltf(data: bytes, name: str, beside: Path | None) -> TriangleMesh:
    """The meshes of the scene, transformed and merged.

    Args:
        data: contents of the file.
        name: for messages; its suffix selects the format.
        beside: folder of the file, which may contain its buffers; None in an archive.

    Raises:
        DataError: if the file is damaged or compressed, or a buffer is missing.
    """
    import trimesh

    kind, tree = Path(name).suffix.lower()[1:], _tree(data)
    _check_compression(tree, name)
    folder = None if beside is None else beside / Path(name).name

    class Resolver(trimesh.resolvers.FilePathResolver):
        """Finds buffers also by the names that are percent-encoded in their addresses."""

        def get(self, uri: str) -> Any:
            """The contents of a buffer."""
            return super().get(uri if self.absolute(uri).exists() else unquote(uri))

    options: dict[str, Any] = {"skip_materials": True, "process": False, "maintain_order": True}
    if folder is not None:
        options["resolver"] = Resolver(str(folder))
    try:
        merged = trimesh.load_scene(io.BytesIO(data), file_type=kind, **options).to_mesh()
        return TriangleMesh(np.array(merged.vertices, dtype=np.float64), np.array(merged.faces, dtype=np.int64))
    except Exception as error:
        if missing := _absent_buffers(tree, beside):
            where = "is missing; put it in the same folder" if beside else "cannot be read from an archive; unpack it"
            raise DataError(
                f"{name}: its buffer {missing[0]} {where}, or convert the mesh to GLB, which contains its buffers"
            ) from error
        raise DataError(f"{name}: cannot be read as {kind}: {error or type(error).__name__}") from error


def _tree(data: bytes) -> dict[str, Any]:
    """The JSON of a file; empty if it cannot be parsed."""
    if data.startswith(b"glTF"):
        data = data[20 : 20 + int.from_bytes(data[12:16], "little")]
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return {}
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


def _absent_buffers(tree: dict[str, Any], beside: Path | None) -> list[str]:
    """Buffer files that a glTF file refers to and that do not exist; none if it cannot be parsed."""
    try:
        outer = [unquote(buffer["uri"]) for buffer in tree["buffers"] if "uri" in buffer]
    except (LookupError, TypeError):
        return []
    return [uri for uri in outer if not uri.startswith("data:") and not (beside and (beside / uri).is_file())]
