"""Meshes and clouds of points as files that viewers and modelling programs open: glb, ply, stl and obj."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ddmi_occupancy.mesh import Cloud, Mesh

NOTHING = b"# no surface\n"  # an obj file must have some line


def write(artefact: Mesh | Cloud, path: Path) -> None:
    """Write a mesh or a cloud in the format of the path's suffix; y is up.

    Vertex normals are kept in glb, ply and obj. A cloud becomes points in glb and ply, and small discs in stl and obj,
    which hold surfaces only. Without a surface, the file is valid and empty.

    Raises:
        OSError: if the file cannot be written.
    """
    kind = path.suffix.lower().removeprefix(".")
    if isinstance(artefact, Cloud) and kind == "ply":
        data = _points(artefact)
    elif isinstance(artefact, Cloud) and kind == "glb":
        data = _exported(_trimesh().PointCloud(artefact.points), kind)
    else:
        data = _surface(artefact.discs() if isinstance(artefact, Cloud) else artefact, kind)
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


def _points(cloud: Cloud) -> bytes:
    """A ply file of points with normals, which trimesh's own clouds do not carry."""
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
    # Takes most of a second to import.
    import trimesh

    return trimesh
