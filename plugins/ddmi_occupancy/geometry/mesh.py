"""Triangle meshes in double precision: removal of degenerate parts, and normalisation to [-0.9, 0.9]."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from attrs import frozen

from ddmi_core.errors import DataError, counted

EXTENT = 0.9  # half of the longest side of a normalised shape
MERGED = 1e-7  # vertices closer than this share of the longest side are merged

Array = npt.NDArray[np.float64]
Marks = npt.NDArray[np.bool_]
Faces = npt.NDArray[np.int64]


@frozen(eq=False)
class TriangleMesh:
    """A mesh as read from a file; `ddmi_core.parts.Mesh` is one as extracted from a field."""

    vertices: Array  # (V, 3)
    faces: Faces  # (F, 3), anticlockwise as seen from outside

    @property
    def corners(self) -> Array:
        """`(F, 3, 3)`: face, corner, coordinate."""
        return np.asarray(self.vertices[self.faces])

    @property
    def volume(self) -> float:
        """Signed volume; only meaningful for closed meshes."""
        a, b, c = self.corners.transpose(1, 0, 2)
        return float(np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6)


def directed(faces: Faces) -> Faces:
    """Directed edges `(3 F, 2)` of faces; edge 3 f + k starts at corner k of face f."""
    return np.stack([faces, np.roll(faces, -1, axis=1)], axis=2).reshape(-1, 2)


def open_edges(mesh: TriangleMesh) -> Faces:
    """Directed edges `(E, 2)` without an opposite edge of another face; none if the mesh is closed."""
    edges = directed(mesh.faces)
    low, high = edges.min(axis=1), edges.max(axis=1)
    sign = np.where(edges[:, 0] == low, 1, -1)
    places, which = np.unique(low * len(mesh.vertices) + high, return_inverse=True)
    excess = np.bincount(which, weights=sign, minlength=len(places)).astype(np.int64)
    rows = np.flatnonzero(excess)
    found = np.stack(np.divmod(places[rows], len(mesh.vertices)), axis=1)
    found[excess[rows] < 0] = found[excess[rows] < 0, ::-1]
    return np.repeat(found, np.abs(excess[rows]), axis=0)


def cleaned(mesh: TriangleMesh, name: str) -> TriangleMesh:
    """The mesh with equal vertices merged, and without unused vertices and degenerate faces.

    Raises:
        DataError: if an index or a coordinate is invalid, or no face has an area.
    """
    wrong = mesh.faces[(mesh.faces < 0) | (mesh.faces >= len(mesh.vertices))]
    if len(wrong):
        raise DataError(f"{name}: a face names vertex {wrong[0]}, but there are {len(mesh.vertices)}; export it again")
    numbers, corners = np.unique(mesh.faces, return_inverse=True)
    used = mesh.vertices[numbers]
    bad = ~np.isfinite(used).all(axis=1)
    if bad.any():
        raise DataError(
            f"{name}: {counted(int(bad.sum()), 'vertex') if bad.sum() == 1 else f'{bad.sum()} vertices'} not finite, "
            f"the first is number {numbers[bad.argmax()]}; export the mesh again"
        )
    longest = float(np.ptp(used, axis=0).max())
    if not np.isfinite(longest) or longest == 0:
        raise DataError(f"{name}: all faces shrink to a point; export the mesh again")
    steps = np.rint((used - used.min(axis=0)) / (longest * MERGED))
    _, first, merged = np.unique(steps, axis=0, return_index=True, return_inverse=True)
    faces = merged.reshape(-1)[corners.reshape(-1, 3)]
    vertices = used[first]
    a, b, c = (vertices[faces] / longest).transpose(1, 0, 2)
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1)
    distinct = (faces[:, 0] != faces[:, 1]) & (faces[:, 1] != faces[:, 2]) & (faces[:, 2] != faces[:, 0])
    faces = faces[distinct]
    if not (distinct & (area > 0)).any():
        raise DataError(f"{name}: all faces are degenerate, without area; export the mesh again")
    kept, faces = np.unique(faces, return_inverse=True)
    return TriangleMesh(vertices[kept], faces.reshape(-1, 3))


def normalised(mesh: TriangleMesh) -> TriangleMesh:
    """The mesh with its bounding box centred, and the longest side from -0.9 to 0.9."""
    low, high = mesh.vertices.min(axis=0), mesh.vertices.max(axis=0)
    return TriangleMesh((mesh.vertices - (low + high) / 2) * (2 * EXTENT / (high - low).max()), mesh.faces)
