"""Export of meshes and point clouds as glb, ply, stl and obj files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ddmi_core.parts import Mesh, PointCloud

NOTHING = b"# no surface\n"  # an empty obj file is invalid


def write(artefact: Mesh | PointCloud, path: Path) -> None:
    """Write a mesh or a point cloud in the format of the path's suffix; y is up.

    Formats glb, ply and obj include vertex normals. Point clouds are written as points in glb and ply, and as small
    discs in stl and obj, which have surfaces only. Without a surface, the file is valid and empty.

    Raises:
        OSError: if the file cannot be written.
    """
    kind = path.suffix.lower().removeprefix(".")
    if isinstance(artefact, PointCloud) and kind == "ply":
        data = _points(artefact)
    elif isinstance(artefact, PointCloud) and kind == "glb":
        data = _exported(_trimesh().PointCloud(artefact.points), kind)
    else:
        data = _surface(artefact.discs() if isinstance(artefact, PointCloud) else artefact, kind)
    path.write_bytes(data)


def _surface(mesh: Mesh, kind: str) -> bytes:
    if not len(mesh.faces):
        return NOTHING if kind == "obj" else _exported(_trimesh().Trimesh(), kind)
    solid = _trimesh().Trimesh(mesh.vertices, mesh.faces, vertex_normals=mesh.normals, process=False)
    normals = {"glb": {"include_normals": True}, "obj": {"include_normals": True}, "ply": {"vertex_normal": True}}
    return _exported(solid, kind, **normals.get(kind, {}))


def _exported(geometry: Any, kind: str, **options: Any) -> bytes:
    data = geometry.export(file_type=kind, **options)
    return data.encode() if isinstance(data, str) else bytes(data)


def _points(cloud: PointCloud) -> bytes:
    """A ply file of points with normals; point clouds of trimesh have none."""
    header = [
        "ply",
        "format binary_little_endian 1.0",
        f"element vertex {len(cloud.points)}",
        *(f"property float {name}" for name in ("x", "y", "z", "nx", "ny", "nz")),
        "end_header\n",
    ]
    rows = np.concatenate([cloud.points, cloud.normals], axis=1).astype("<f4")
    return "\n".join(header).encode() + rows.tobytes()


def _trimesh() -> Any:
    # Importing trimesh takes most of a second.
    import trimesh

    return trimesh
