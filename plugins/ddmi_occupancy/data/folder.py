"""The source `folder`, meshes of a folder or zip archive; and reading of one mesh file as a signal."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ddmi_core.api import Split
from ddmi_core.errors import DataError
from ddmi_core.parts import (
    ArrayCache,
    Decoded,
    Decoding,
    Entry,
    FolderSource,
    Mesh,
    account,
    given_file,
    required_location,
    source_digest,
)
from ddmi_occupancy.data import point_clouds
from ddmi_occupancy.data.mesh_files import SUFFIXES, read_mesh
from ddmi_occupancy.data.mesh_points import pack
from ddmi_occupancy.data.onet_release import CLOUDS, POINTS, read_shape
from ddmi_occupancy.data.ply import has_faces
from ddmi_occupancy.data.sampling import SPARE, Packing, point_weights
from ddmi_occupancy.data.shape_set import ShapeSet
from ddmi_occupancy.geometry.winding_number import kaolin_available
from ddmi_occupancy.settings import OccupancySettings
from ddmi_occupancy.signal import ShapeSignal

# Modules that decide the contents of a row: a change in one of them invalidates the cache.
MAKERS = (
    *("data/gltf.py", "data/mesh_colours.py", "data/mesh_files.py", "data/mesh_formats.py", "data/mesh_points.py"),
    *("data/ply.py", "data/polygons.py", "data/sampling.py"),
    *("geometry/mesh.py", "geometry/mesh_repair.py", "geometry/sheets.py", "geometry/winding_number.py"),
)
PACKAGE = Path(__file__).parent.parent
CACHE = ArrayCache("meshes", room=4 << 30)


def load(location: Path | None, settings: OccupancySettings) -> Split:
    """Meshes of a folder or zip archive (obj, ply, stl, off, glb, gltf); a stable hash of their names holds some out.

    If all meshes are in two or more sub-folders, these are the classes. Meshes are normalised; `settings.up` names the
    axis that points up. In a zip archive, glTF files must contain their buffers. The captions of a mesh are the lines
    of a text file of the same name (`chair.txt` for `chair.glb`), if every mesh has one. Meshes whose captions mention
    left or right are not mirrored.

    Raises:
        DataError: without a location, without usable meshes, or, with `settings.strict`, if any file cannot be used.
    """
    location = required_location(location, "meshes")
    folder = FolderSource(location, "meshes", SUFFIXES, settings.strict, settings.classes)
    entries = folder.entries(settings.limit)
    packing = Packing(SPARE * settings.surface, settings.points)
    rows, good = folder.decode(entries, _decoding(location, settings, packing), cache=CACHE)
    names = [entries[i].name for i in good]
    found = folder.labels(names)
    whole = ShapeSet(
        packing.clouds(rows),
        point_weights(settings.points),
        names,
        settings.surface,
        rows=good,
        classes=found.classes,
        labels=found.labels,
        captions=found.captions,
        mirrored=[settings.augment and may for may in found.mirrorable],
        noise=settings.noise,
    )
    return whole.split(settings.held_out)


def read(path: Path, settings: OccupancySettings) -> ShapeSignal:
    """One mesh file, or a point cloud of a surface, as a signal with B = 1.

    Point clouds are `.xyz`, `.npz` with `points` and maybe `normals`, and `.ply` without faces. For one of
    `pointcloud.npz` and `points.npz` of Occupancy Networks, the other one must lie beside it.

    Raises:
        DataError: if the file is missing, or is not a mesh of a solid or a point cloud.
    """
    entry, suffix = given_file(path, "mesh file"), path.suffix.lower()
    if suffix not in (*SUFFIXES, *point_clouds.SUFFIXES):
        raise DataError(
            f"{path}: meshes end in {', '.join(SUFFIXES)}; point clouds in {', '.join(point_clouds.SUFFIXES)}"
        )
    cloud = _is_cloud(entry, path)
    packing = Packing(settings.surface, settings.points)
    weights = point_weights(settings.points)
    if path.name == POINTS or (path.name == CLOUDS and (path.parent / POINTS).is_file()):
        found = read_shape(path.parent, packing)
        row, changes, weights = found.row, found.changes, np.ones(settings.points, dtype=np.float32)
    elif cloud:
        row, changes = point_clouds.read_cloud(path, settings.up_in(suffix), packing)
    else:
        with entry.opened() as file:
            mesh, changes = read_mesh(file, str(path), path.parent, settings)
            row = pack(mesh, str(path), packing)
    account().change(path.name, changes)
    return ShapeSet(packing.clouds(row[None]), weights, [path.name], settings.surface).batch([0])


def surface(path: Path, settings: OccupancySettings) -> Mesh | None:
    """The surface of the solid in a file that `read` takes, normalised as the signal is; `None` of a point cloud.

    Raises:
        DataError: as `read`.
    """
    entry = given_file(path, "mesh file")
    if _is_cloud(entry, path):
        return None
    with entry.opened() as file:
        mesh, _ = read_mesh(file, str(path), path.parent, settings)
    return Mesh(mesh.vertices.astype(np.float32), mesh.faces.astype(np.int32))


def _is_cloud(entry: Entry, path: Path) -> bool:
    suffix = path.suffix.lower()
    with entry.opened() as file:  # which names empty and foreign files as such
        return suffix in (".xyz", ".npz") or (suffix == ".ply" and not has_faces(file.read(), str(path)))


def _decoding(location: Path, settings: OccupancySettings, packing: Packing) -> Decoding:
    """How a mesh file becomes a packed row, and everything that the row depends on."""

    def row(entry: Entry) -> Decoded:
        neighbours = (location / entry.name).parent if location.is_dir() else None
        with entry.opened() as file:
            mesh, changes = read_mesh(file, entry.name, neighbours, settings)
            return Decoded(pack(mesh, entry.name, packing), changes)

    version = source_digest(*(PACKAGE / name for name in MAKERS))
    solid = (settings.up, int(settings.repair), settings.solid, f"{settings.thickness:g}")
    how = (version, *solid, packing.surface, packing.points, int(kaolin_available()))
    return Decoding(packing.length, np.dtype(np.uint8), row, ("occupancy", "mesh", *how))
