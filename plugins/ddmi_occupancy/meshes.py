"""Triangle meshes: reading them from files, the checks, and what is done to those that can be mended."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import unquote

import numpy as np
import numpy.typing as npt
from attrs import frozen

from ddmi_core.errors import DataError, counted
from ddmi_occupancy.solids import Array

SUFFIXES = (".obj", ".ply", ".stl", ".off", ".glb", ".gltf")
EXTENT = 0.9  # half of the longest side of a normalised shape
MOST_BYTES = 1 << 28  # of a file
MOST_FACES = 2_000_000
MERGED = 1e-7  # vertices closer than this share of the longest side are one
FLAT = 1e-6  # least volume, as a share of the cube over the longest side

Faces = npt.NDArray[np.int64]


@frozen(eq=False)
class Mesh:
    """Triangles: corners of a face go round anticlockwise, seen from outside."""

    vertices: Array  # (V, 3)
    faces: Faces  # (F, 3)

    @property
    def corners(self) -> Array:
        """`(F, 3, 3)`: face, corner, coordinate."""
        return np.asarray(self.vertices[self.faces])

    @property
    def volume(self) -> float:
        """Signed volume; right for closed meshes."""
        a, b, c = self.corners.transpose(1, 0, 2)
        return float(np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6)


def read_mesh(file: BinaryIO, name: str, beside: Path | None, up: str, repair: bool) -> Mesh:
    """A mesh file as a closed mesh, normalised: the bounding box is centred, its longest side runs from -0.9 to 0.9.

    Objects of a scene are merged at their places. Units do not matter, since the shape is normalised.

    Args:
        file: open for reading bytes.
        name: name for messages; its suffix says the format.
        beside: folder of the file, where glTF files may have their buffers.
        up: the axis that points up in the file, `y` or `z`; in the mesh it is y.
        repair: mend what can be mended: holes, and faces that point in different directions or inwards.

    Raises:
        DataError: if the file cannot be read, is too large, or is no solid.
    """
    mesh = cleaned(triangles(file, name, beside), name)
    if up == "z":
        mesh = Mesh(mesh.vertices[:, [0, 2, 1]] * np.array([1.0, 1.0, -1.0]), mesh.faces)
    return mended(normalised(mesh), name, repair)


def triangles(file: BinaryIO, name: str, beside: Path | None) -> Mesh:
    """What a file holds, as it is.

    Raises:
        DataError: if the file cannot be read or is too large.
    """
    import trimesh

    size = file.seek(0, 2)
    file.seek(0)
    if size > MOST_BYTES:
        raise DataError(
            f"{name}: {size / 2**20:.0f} MiB are more than the limit of {MOST_BYTES >> 20} MiB a mesh; simplify it"
        )
    suffix = Path(name).suffix.lower()
    options: dict[str, Any] = {"skip_materials": True} if suffix in (".obj", ".glb", ".gltf") else {}
    if beside is not None:
        options["resolver"] = trimesh.resolvers.FilePathResolver(str(beside / Path(name).name))
    try:
        scene = trimesh.load_scene(file, file_type=suffix[1:], process=False, maintain_order=True, **options)
        merged = scene.to_mesh()
        mesh = Mesh(np.array(merged.vertices, dtype=np.float64), np.array(merged.faces, dtype=np.int64))
    except Exception as error:
        if suffix == ".gltf" and (missing := _absent_buffers(file, beside)):
            where = "is not beside it; put it there" if beside else "cannot be read from an archive; unpack the archive"
            raise DataError(
                f"{name}: its buffer {missing[0]} {where}, or convert the mesh to GLB, which has its buffers inside"
            ) from error
        raise DataError(f"{name}: cannot be read as {suffix[1:]}: {error or type(error).__name__}") from error
    if not len(mesh.faces):
        raise DataError(f"{name}: there is no face in it; a solid is needed, not points or lines")
    if len(mesh.faces) > MOST_FACES:
        raise DataError(f"{name}: {len(mesh.faces):,} faces are more than the limit of {MOST_FACES:,}; simplify it")
    return mesh


def _absent_buffers(file: BinaryIO, beside: Path | None) -> list[str]:
    """Names of the files that a glTF file has its buffers in and that are not there; none if it is no glTF."""
    file.seek(0)
    try:
        outer = [unquote(buffer["uri"]) for buffer in json.load(file)["buffers"]]
    except (ValueError, LookupError, TypeError):
        return []
    return [uri for uri in outer if not uri.startswith("data:") and not (beside and (beside / uri).is_file())]


def cleaned(mesh: Mesh, name: str) -> Mesh:
    """The mesh without equal vertices, unused vertices, and faces without area.

    Raises:
        DataError: if a vertex is not a number, or nothing is left.
    """
    wrong = mesh.faces[(mesh.faces < 0) | (mesh.faces >= len(mesh.vertices))]
    if len(wrong):
        raise DataError(f"{name}: a face names vertex {wrong[0]}, but there are {len(mesh.vertices)}; export it again")
    bad = ~np.isfinite(mesh.vertices).all(axis=1)
    if bad.any():
        raise DataError(
            f"{name}: {counted(int(bad.sum()), 'vertex') if bad.sum() == 1 else f'{bad.sum()} vertices'} not finite, "
            f"the first is number {int(bad.argmax())}; export the mesh again"
        )
    used = mesh.vertices[np.unique(mesh.faces)]
    longest = float(np.ptp(used, axis=0).max())
    if not np.isfinite(longest) or longest == 0:
        raise DataError(f"{name}: all faces shrink to a point; export the mesh again")
    steps = np.rint((mesh.vertices - used.min(axis=0)) / (longest * MERGED))
    _, first, merged = np.unique(steps, axis=0, return_index=True, return_inverse=True)
    faces = merged.reshape(-1)[mesh.faces]
    vertices = mesh.vertices[first]
    a, b, c = (vertices[faces] / longest).transpose(1, 0, 2)
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1)
    distinct = (faces[:, 0] != faces[:, 1]) & (faces[:, 1] != faces[:, 2]) & (faces[:, 2] != faces[:, 0])
    faces = faces[distinct]
    if not (distinct & (area > 0)).any():
        raise DataError(f"{name}: all faces are degenerate, without area; export the mesh again")
    return _compact(Mesh(vertices, faces))


def normalised(mesh: Mesh) -> Mesh:
    """The mesh with its bounding box centred, and the longest side from -0.9 to 0.9."""
    low, high = mesh.vertices.min(axis=0), mesh.vertices.max(axis=0)
    return Mesh((mesh.vertices - (low + high) / 2) * (2 * EXTENT / (high - low).max()), mesh.faces)


def mended(mesh: Mesh, name: str, repair: bool) -> Mesh:
    """A closed mesh whose faces point outwards.

    Raises:
        DataError: if it is not closed and cannot be, or must not be, mended; or if it has no volume.
    """
    from ddmi_occupancy.mending import filled, open_edges, oriented, outwards

    how = "close it in a modelling program"
    if repair:
        mesh = oriented(mesh)
    if len(edges := open_edges(mesh)):
        if not repair:
            raise DataError(
                f"{name}: not watertight: {counted(len(edges), 'edge')} without a face on the other side, or with one "
                f"that points the other way; {how}, or have it mended with --set domain.repair=true"
            )
        mesh = filled(mesh)
        if len(edges := open_edges(mesh)):
            raise DataError(
                f"{name}: not watertight, and not to be mended: {counted(len(edges), 'edge')} still without a face on "
                f"the other side; {how}"
            )
    if repair:
        mesh = outwards(mesh)
    least = FLAT * (2 * EXTENT) ** 3
    if mesh.volume < -least:
        raise DataError(f"{name}: its faces point inwards; turn them, or have it done with --set domain.repair=true")
    if mesh.volume < least:
        raise DataError(f"{name}: it has no volume; a solid is needed, not a sheet")
    return mesh


def _compact(mesh: Mesh) -> Mesh:
    """Without vertices that no face uses."""
    used, faces = np.unique(mesh.faces, return_inverse=True)
    return Mesh(mesh.vertices[used], faces.reshape(mesh.faces.shape))
