"""Export of meshes and point clouds as glb, ply, stl and obj files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ddmi_core.parts import Change, Mesh, PointCloud
from ddmi_occupancy.geometry.mesh import EXTENT
from ddmi_occupancy.settings import OccupancySettings

MESHES = (".glb", ".ply", ".stl", ".obj")
NOTHING = b"# no surface\n"  # an empty obj file is invalid


def restored(
    artefact: Mesh | PointCloud, changes: Sequence[Change], suffix: str, settings: OccupancySettings
) -> Mesh | PointCloud:
    """An artefact in the units and position of the file that its shape was read from, and the axes of a new file.

    Args:
        artefact: normalised, y is up.
        changes: of the reader. If none of them has moved the shape, as for samples, the units are those of
            `settings.length`.
        suffix: of the new file.
        settings: which axis points up in it.
    """
    place = next((change.values for change in changes if {"centre", "scale"} <= change.values.keys()), None)
    z_up = settings.up_in(suffix) == "z"
    if place is None and not settings.length and not z_up:
        return artefact
    if place is None:
        place = {"centre": (0.0, 0.0, 0.0), "scale": 2 * EXTENT / settings.length if settings.length else 1.0}

    def turned(vectors: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return vectors[:, [0, 2, 1]] * [1.0, -1.0, 1.0] if z_up else vectors

    # In double precision: single precision has steps of half a metre in coordinates of maps.
    if isinstance(artefact, PointCloud):
        points = turned(artefact.points / place["scale"] + np.array(place["centre"]))
        return PointCloud(points, turned(artefact.normals))
    vertices = turned(artefact.vertices / place["scale"] + np.array(place["centre"]))
    return Mesh(vertices, artefact.faces, turned(artefact.normals) if len(artefact.faces) else None)


def write(artefact: Mesh | PointCloud, path: Path) -> None:
    """Write a mesh or a point cloud in the format of the path's suffix.

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
