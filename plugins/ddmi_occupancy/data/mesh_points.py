"""Training points of a mesh: sampled on its surface and in space, with inside tests."""

from __future__ import annotations

import hashlib

import numpy as np

from ddmi_core.errors import DataError
from ddmi_occupancy.data.sampling import Packing, Rows, in_steps, points_around
from ddmi_occupancy.geometry.mesh import Array, Marks, TriangleMesh
from ddmi_occupancy.geometry.winding_number import crossings, inside

SIDE = 1e-4  # distance from a face at which both of its sides are tested
ROUNDS = 20  # of rejection sampling


def pack(mesh: TriangleMesh, name: str, packing: Packing) -> Rows:
    """A normalised mesh as a row of bytes, which depends on the mesh alone.

    Raises:
        DataError: as `surface`.
    """
    digest = hashlib.sha256(in_steps(mesh.vertices).tobytes() + mesh.faces.astype("<i8").tobytes()).digest()
    draw = np.random.Generator(np.random.PCG64(int.from_bytes(digest[:8], "big")))
    points, normals = surface(mesh, packing.surface, draw, name)
    around = points_around(points, packing.points, draw)
    return packing.row(points, normals, around, lambda kept: inside(mesh, kept, name))


def occupied(mesh: TriangleMesh, cells: int = 64) -> Marks:
    """Whether the centres of the cells of a cube around a closed mesh are inside: `(D, H, W)`, axes z, y, x.

    Args:
        mesh: of any size and position.
        cells: along each axis of the cube, whose side is 1.1 times the longest side of the mesh.
    """
    low, high = mesh.vertices.min(axis=0), mesh.vertices.max(axis=0)
    centres = ((2 * np.arange(cells) + 1) / cells - 1) * 0.55 * (high - low).max()
    z, y, x = np.meshgrid(centres, centres, centres, indexing="ij")
    places = np.stack([x.ravel(), y.ravel(), z.ravel()], axis=1) + (low + high) / 2
    return (crossings(mesh, places, 1) >= 1).reshape(cells, cells, cells)


def surface(mesh: TriangleMesh, n: int, draw: np.random.Generator, name: str = "mesh") -> tuple[Array, Array]:
    """Uniform samples of the boundary of the enclosed solid, and outward unit normals: `(n, 3)` each.

    Faces inside of the solid, as in overlapping parts, get no points.

    Raises:
        DataError: if too few faces are on the boundary.
    """
    a, b, c = mesh.corners.transpose(1, 0, 2)
    across = np.cross(b - a, c - a)
    area = np.linalg.norm(across, axis=1)
    ends = np.cumsum(area)
    found, count = [], 0
    for _ in range(ROUNDS):
        trials = n - count + 64
        face = np.searchsorted(ends, draw.random(trials) * ends[-1], side="right").clip(max=len(ends) - 1)
        # Uniform over a triangle: half of the unit square is folded onto the other.
        s, t = draw.random((2, trials))
        s, t = np.where(s + t > 1, 1 - s, s)[:, None], np.where(s + t > 1, 1 - t, t)[:, None]
        points = a[face] + s * (b - a)[face] + t * (c - a)[face]
        normals = across[face] / area[face, None]
        shifts = np.concatenate([points - SIDE * normals, points + SIDE * normals])
        below, above = inside(mesh, shifts, name).reshape(2, trials)
        kept = np.flatnonzero(below & ~above)
        found.append((points[kept], normals[kept]))
        count += len(kept)
        if count >= n:
            points, normals = (np.concatenate(part)[:n] for part in zip(*found, strict=True))
            return points, normals
    raise DataError(f"{name}: too few faces are on the boundary of a solid; close it in a modelling program")
