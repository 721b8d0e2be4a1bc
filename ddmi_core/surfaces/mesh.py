"""Triangle meshes, and point clouds with normals."""

from __future__ import annotations

from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from attrs import frozen

from ddmi_core.display import Artefact

Floats = npt.NDArray[np.float32]
Faces = npt.NDArray[np.int32]
Float = TypeVar("Float", np.float32, np.float64)

PROBES = 256  # points at which the density of a point cloud is measured
NEIGHBOURS = 5  # counts the point itself; its disc reaches the fifth-nearest point
LEAST_RADIUS = 1e-3  # of a disc


@frozen(eq=False, slots=False, repr=False)
class Mesh(Artefact):
    """A surface of triangles; without vertices and faces if there is no surface."""

    vertices: Floats  # (V, 3), in [-1, 1], columns x, y, z
    faces: Faces  # (F, 3), anticlockwise as seen from outside
    known_normals: Floats | None = None  # (V, 3), unit vectors; computed from the faces if None

    @cached_property
    def normals(self) -> Floats:
        """Unit vectors `(V, 3)` that point outwards."""
        return smooth_normals(self.vertices, self.faces) if self.known_normals is None else self.known_normals

    @property
    def area(self) -> float:
        """Total area of the triangles."""
        return float(_crosses(self.vertices, self.faces)[1].sum() / 2)

    @property
    def volume(self) -> float:
        """Enclosed volume; only meaningful for a closed mesh."""
        a, b, c = np.moveaxis(self.vertices[self.faces].astype(np.float64), 1, 0)
        return float((a * np.cross(b, c)).sum() / 6)

    def to_trimesh(self) -> Any:
        """A `trimesh.Trimesh` with the same vertices, faces and normals."""
        import trimesh

        return trimesh.Trimesh(self.vertices, self.faces, vertex_normals=self.normals, process=False)

    def sample_points(self, n: int, generator: torch.Generator) -> tuple[Floats, Floats]:
        """Random points on the surface, and the normals of their triangles: `(n, 3)` each.

        Stratified sampling: one point in each of n equal parts of the area, which is more even than independent draws.

        Raises:
            ValueError: if the mesh is empty.
        """
        if not len(self.faces):
            raise ValueError("a mesh without faces has no points to sample")
        normals, doubled = _crosses(self.vertices, self.faces)
        ends = np.cumsum(doubled)
        along, first, second = torch.rand(3, n, generator=generator, dtype=torch.float64).numpy()
        places = (np.arange(n) + along) / n * ends[-1]
        chosen = np.minimum(np.searchsorted(ends, places, side="right"), len(ends) - 1)
        corners = self.vertices[self.faces[chosen]].astype(np.float64)
        root = np.sqrt(first)
        weights = np.stack([1 - root, root * (1 - second), root * second], axis=1)
        points = (weights[:, :, None] * corners).sum(axis=1)
        return points.astype(np.float32), unit_vectors(normals[chosen]).astype(np.float32)


@frozen(eq=False, repr=False)
class PointCloud(Artefact):
    """Points on a surface, with normals."""

    points: Floats  # (N, 3), in [-1, 1], columns x, y, z
    normals: Floats  # (N, 3), unit vectors that point outwards

    def to_trimesh(self) -> Any:
        """A `trimesh.PointCloud` of the points, without normals."""
        import trimesh

        return trimesh.PointCloud(self.points)  # type: ignore[no-untyped-call]

    def discs(self, sides: int = 6) -> Mesh:
        """A mesh with a small polygon at each point, perpendicular to its normal, large enough to leave few gaps."""
        if not len(self.points):
            return Mesh(self.points, np.zeros((0, 3), dtype=np.int32), self.normals)
        some = torch.from_numpy(self.points[:: max(1, len(self.points) // PROBES)])
        distances = torch.cdist(some, torch.from_numpy(self.points))
        near = min(NEIGHBOURS, len(self.points))
        radius = max(float(distances.kthvalue(near, dim=1).values.median()), LEAST_RADIUS)
        axis = np.eye(3, dtype=np.float32)[np.abs(self.normals).argmin(axis=1)]
        first = unit_vectors(np.cross(self.normals, axis))
        second = np.cross(self.normals, first)
        turns = 2 * np.pi * np.arange(sides) / sides
        rim = np.cos(turns)[:, None] * first[:, None] + np.sin(turns)[:, None] * second[:, None]
        vertices = (self.points[:, None] + radius * rim).reshape(-1, 3).astype(np.float32)
        fan = np.stack([np.zeros(sides - 2), np.arange(1, sides - 1), np.arange(2, sides)], axis=1)
        faces = (np.arange(len(self.points))[:, None, None] * sides + fan).reshape(-1, 3).astype(np.int32)
        return Mesh(vertices, faces, np.repeat(self.normals, sides, axis=0))


def smooth_normals(vertices: Floats, faces: Faces) -> Floats:
    """Unit normals of vertices `(V, 3)`: area-weighted means over the triangles at each vertex."""
    crosses, _ = _crosses(vertices, faces)
    total = np.zeros((len(vertices), 3))
    for axis in range(3):
        for column in range(3):
            total[:, axis] += np.bincount(faces[:, column], crosses[:, axis], minlength=len(vertices))
    return unit_vectors(total).astype(np.float32)


def unit_vectors(vectors: npt.NDArray[Float]) -> npt.NDArray[Float]:
    """Vectors `(N, 3)` scaled to length one; zero vectors become (0, 1, 0)."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    up = np.array([0, 1, 0], dtype=vectors.dtype)
    found: npt.NDArray[Float] = np.where(length > 0, vectors / np.where(length > 0, length, 1), up)
    return found


def _crosses(vertices: Floats, faces: Faces) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Outward normals `(F, 3)` whose length is twice the area of the triangle, and these lengths `(F,)`."""
    a, b, c = np.moveaxis(vertices[faces].astype(np.float64), 1, 0)
    crosses = np.cross(b - a, c - a)
    return crosses, np.linalg.norm(crosses, axis=1)
