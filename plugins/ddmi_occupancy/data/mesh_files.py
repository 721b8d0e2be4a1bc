"""Reads mesh files (obj, ply, stl, off, glb, gltf) as closed, normalised meshes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import unquote

import numpy as np

from ddmi_core.errors import DataError
from ddmi_core.parts import Change
from ddmi_occupancy.geometry.mesh import EXTENT, TriangleMesh, cleaned, normalised
from ddmi_occupancy.geometry.mesh_repair import open_edges, oriented, repaired

SUFFIXES = (".obj", ".ply", ".stl", ".off", ".glb", ".gltf")
MOST_BYTES = 1 << 28  # in a file
MOST_FACES = 2_000_000


def read_mesh(
    file: BinaryIO, name: str, beside: Path | None, up: str, repair: bool
) -> tuple[TriangleMesh, tuple[Change, ...]]:
    """Read a closed mesh and normalise it: centre the bounding box, and scale its longest side to [-0.9, 0.9].

    The objects of a scene are transformed and merged.

    Args:
        file: a binary, seekable stream.
        name: for messages; its suffix selects the format.
        beside: folder of the file, which may contain the buffers of a glTF file; None in an archive.
        up: the axis that points up in the file, `y` or `z`; the result has y up.
        repair: fill holes and reorient faces, instead of refusing such meshes.

    Returns:
        The mesh, and what was changed.

    Raises:
        DataError: if the file cannot be read, is too large, or does not contain a solid.
    """
    stored = triangles(file, name, beside)
    mesh = cleaned(stored, name)
    if up == "z":
        mesh = TriangleMesh(mesh.vertices[:, [0, 2, 1]] * np.array([1.0, 1.0, -1.0]), mesh.faces)
    low, high = mesh.vertices.min(axis=0), mesh.vertices.max(axis=0)
    placed = normalised(mesh)
    closed = repaired(placed, name, repair)
    scale = float(2 * EXTENT / (high - low).max())
    place = {"centre": ((low + high) / 2).tolist(), "scale": scale, "up": up}  # axes after the turn to y up
    changes = [Change("moved to the centre and scaled", scale, "times", place)]
    if lost := len(stored.faces) - len(mesh.faces):
        changes.append(Change("freed of faces without area", lost, "faces"))
    if len(closed.faces) > len(placed.faces):
        changes.append(Change("closed where faces were missing", len(open_edges(oriented(placed))), "open edges"))
    turned = (closed.faces[: len(placed.faces)] != placed.faces).any(axis=1).mean()
    if turned:
        changes.append(Change("turned outwards in part", round(float(turned), 4), "of the faces"))
    return closed, tuple(changes)


def triangles(file: BinaryIO, name: str, beside: Path | None) -> TriangleMesh:
    """The triangles of a file, unchanged.

    Raises:
        DataError: if the file cannot be read or is too large.
    """
    import trimesh

    size = file.seek(0, 2)
    file.seek(0)
    if size > MOST_BYTES:
        raise DataError(
            f"{name}: {size / 2**20:.0f} MiB exceed the limit of {MOST_BYTES >> 20} MiB per mesh; simplify the mesh"
        )
    suffix = Path(name).suffix.lower()
    options: dict[str, Any] = {"skip_materials": True} if suffix in (".obj", ".glb", ".gltf") else {}
    if beside is not None:
        options["resolver"] = trimesh.resolvers.FilePathResolver(str(beside / Path(name).name))
    try:
        scene = trimesh.load_scene(file, file_type=suffix[1:], process=False, maintain_order=True, **options)
        merged = scene.to_mesh()
        mesh = TriangleMesh(np.array(merged.vertices, dtype=np.float64), np.array(merged.faces, dtype=np.int64))
    except Exception as error:
        if suffix == ".gltf" and (missing := _absent_buffers(file, beside)):
            where = "is missing; put it in the same folder" if beside else "cannot be read from an archive; unpack it"
            raise DataError(
                f"{name}: its buffer {missing[0]} {where}, or convert the mesh to GLB, which contains its buffers"
            ) from error
        raise DataError(f"{name}: cannot be read as {suffix[1:]}: {error or type(error).__name__}") from error
    if not len(mesh.faces):
        raise DataError(f"{name}: no faces; a solid is required, not points or lines")
    if len(mesh.faces) > MOST_FACES:
        raise DataError(f"{name}: {len(mesh.faces):,} faces exceed the limit of {MOST_FACES:,}; simplify the mesh")
    return mesh


def _absent_buffers(file: BinaryIO, beside: Path | None) -> list[str]:
    """Buffer files that a glTF file refers to and that do not exist; none if it cannot be parsed."""
    file.seek(0)
    try:
        outer = [unquote(buffer["uri"]) for buffer in json.load(file)["buffers"]]
    except (ValueError, LookupError, TypeError):
        return []
    return [uri for uri in outer if not uri.startswith("data:") and not (beside and (beside / uri).is_file())]
