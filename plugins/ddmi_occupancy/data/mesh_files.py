"""Reads mesh files (obj, ply, stl, off, glb, gltf) as closed, normalised meshes."""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ddmi_core.errors import DataError
from ddmi_core.parts import Change, damaged
from ddmi_occupancy.data.gltf import read_gltf
from ddmi_occupancy.data.mesh_colours import unlearned
from ddmi_occupancy.data.mesh_formats import READERS
from ddmi_occupancy.geometry.mesh import EXTENT, TriangleMesh, cleaned, normalised, open_edges
from ddmi_occupancy.geometry.mesh_repair import oriented, outwards, repaired, single_sided
from ddmi_occupancy.geometry.sheets import areas, bare_share, with_walls
from ddmi_occupancy.settings import OccupancySettings

SUFFIXES = (".obj", ".ply", ".stl", ".off", ".glb", ".gltf")
MOST_BYTES = 1 << 28  # in a file
MOST_FACES = 2_000_000
HEAD = 1 << 14  # bytes that show the format
SIGNS = {b"solid ": ".stl", b"ply\n": ".ply", b"ply\r": ".ply", b"OFF": ".off", b"glTF": ".glb", b"{": ".gltf"}
OBJ_VERTEX = re.compile(rb"^v(?:[ \t]+-?[\d.]+(?:[eE][-+]?\d+)?){3}", re.MULTILINE)
LIDS = 0.02  # share of the area that is added to close a mesh, above which a warning says so
BARE = 0.005  # share of the area that bounds nothing, above which a warning says so
WALLS = "if they are walls of no thickness, use --set domain.solid=wrap; otherwise close the mesh"


def read_mesh(
    file: BinaryIO, name: str, beside: Path | None, settings: OccupancySettings
) -> tuple[TriangleMesh, tuple[Change, ...]]:
    """Read a mesh as a solid and normalise it: centre the bounding box, and scale its longest side to [-0.9, 0.9].

    The objects of a scene are transformed and merged.

    Args:
        file: a binary, seekable stream.
        name: for messages; its suffix selects the format.
        beside: folder of the file, which may contain the buffers of a glTF file; None in an archive.
        settings: which axis points up, and what becomes of holes, sheets and inconsistent faces.

    Returns:
        The mesh, closed unless `settings.solid` is `winding`, and what was changed.

    Raises:
        DataError: if the file cannot be read, is too large, or does not contain a solid.
    """
    stored = triangles(file, name, beside)
    file.seek(0)
    of_colours = unlearned(file.read(), Path(name).suffix.lower())
    mesh = cleaned(stored, name)
    up = settings.up_in(Path(name).suffix)
    if up == "z":
        mesh = TriangleMesh(mesh.vertices[:, [0, 2, 1]] * np.array([1.0, 1.0, -1.0]), mesh.faces)
    low, high = mesh.vertices.min(axis=0), mesh.vertices.max(axis=0)
    scale = float(2 * EXTENT / (high - low).max())
    place = {"centre": ((low + high) / 2).tolist(), "scale": scale, "up": up}  # axes after the turn to y up
    changes = [Change("moved to the centre and scaled", scale, "times", place)]
    if bad := int((~np.isfinite(stored.vertices).all(axis=1)).sum()):
        changes.append(Change("freed of vertices that are not finite and in no face", bad, "of the vertices"))
    if lost := len(stored.faces) - len(mesh.faces):
        changes.append(Change("freed of faces without area", lost, "of the faces"))
    both = normalised(mesh)
    placed = single_sided(both) if settings.repair else both
    if backs := len(both.faces) - len(placed.faces):
        changes.append(Change("freed of the backs of double-sided faces", backs, "of the faces"))
    solid, more = _solid(placed, name, settings)
    return solid, (*changes, *more, *of_colours)


def _solid(placed: TriangleMesh, name: str, settings: OccupancySettings) -> tuple[TriangleMesh, list[Change]]:
    """What a normalised mesh encloses, by `settings.solid`, and what was changed."""
    if settings.solid == "wrap":
        solid, share = with_walls(placed, settings.thickness)
        walls = f"given walls of thickness {settings.thickness:g} where faces bound nothing"
        return solid, [Change(walls, round(share, 4), "of the area")] if share else []
    by_number = settings.solid == "winding"
    solid = outwards(oriented(placed)) if by_number else repaired(placed, name, settings.repair)
    changes = []
    kept = solid.faces[: len(placed.faces)]
    if by_number and (holes := len(open_edges(solid))):
        changes.append(Change("closed by winding numbers", holes, "open edges"))
    if len(solid.faces) > len(kept):
        changes.append(Change("closed where faces were missing", len(open_edges(oriented(placed))), "open edges"))
        lids = TriangleMesh(solid.vertices, solid.faces[len(kept) :])
        share = float(areas(lids).sum() / areas(solid).sum()) * (1 - bare_share(lids, solid, name))
        if share > LIDS:
            changes.append(Change("closed over openings, as those of a cup", round(share, 3), "of the area", fix=WALLS))
    turned = (kept != placed.faces).any(axis=1).mean()
    if turned:
        changes.append(Change("turned outwards in part", round(float(turned), 4), "of the faces"))
    if (bare := bare_share(placed, solid, name)) > BARE:
        changes.append(Change("without the faces that bound nothing", round(bare, 3), "of the area", fix=WALLS))
    return solid, changes


def triangles(file: BinaryIO, name: str, beside: Path | None) -> TriangleMesh:
    """The triangles of a file, unchanged.

    Raises:
        DataError: if the file cannot be read or is too large.
    """
    size = file.seek(0, 2)
    file.seek(0)
    if size > MOST_BYTES:
        raise DataError(
            f"{name}: {size / 2**20:.0f} MiB exceed the limit of {MOST_BYTES >> 20} MiB per mesh; simplify the mesh"
        )
    data = file.read()
    suffix = Path(name).suffix.lower()
    if (kind := _kind(data)) not in ("", suffix):
        raise DataError(f"{name}: has the contents of a {kind} file. Fix: rename it to {Path(name).stem}{kind}")
    with damaged(name, f"a mesh in the format {suffix[1:]}", "export it again"):
        mesh = READERS[suffix](data, name) if suffix in READERS else read_gltf(data, name, beside)
    if not len(mesh.faces):
        raise DataError(f"{name}: no faces; a solid is required, not points or lines")
    if len(mesh.faces) > MOST_FACES:
        raise DataError(f"{name}: {len(mesh.faces):,} faces exceed the limit of {MOST_FACES:,}; simplify the mesh")
    return mesh


def _kind(data: bytes) -> str:
    """The suffix of the format that the contents show, as far as they do."""
    start = data[:HEAD].removeprefix(BOM_UTF8).lstrip()
    if kind := next((suffix for sign, suffix in SIGNS.items() if start.startswith(sign)), ""):
        return kind
    return ".obj" if OBJ_VERTEX.search(start) and b"\0" not in start else ""
