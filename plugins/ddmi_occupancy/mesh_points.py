"""From a mesh to points and cells: the row of bytes that is kept of it, and a grid of what is occupied."""

from __future__ import annotations

import hashlib

import numpy as np

from ddmi_core.errors import DataError
from ddmi_occupancy.inside import crossings, inside
from ddmi_occupancy.meshes import Mesh
from ddmi_occupancy.sampling import Packing, Rows, in_steps, points_around
from ddmi_occupancy.solids import Array, Marks

SIDE = 1e-4  # distance from the surface at which both of its sides are looked at
ROUNDS = 20  # of drawing points, of which those that are no boundary of the solid are dropped


def pack(mesh: Mesh, name: str, packing: Packing) -> Rows:
    """A closed, normalised mesh as a row, which depends on the mesh alone.

    Raises:
        DataError: as `ddmi_occupancy.inside.inside` and `surface`.
    """
    digest = hashlib.sha256(in_steps(mesh.vertices).tobytes() + mesh.faces.astype("<i8").tobytes()).digest()
    draw = np.random.Generator(np.random.PCG64(int.from_bytes(digest[:8], "big")))
    points, normals = surface(mesh, packing.surface, draw, name)
    around = points_around(points, packing.points, draw)
    return packing.row(points, normals, around, lambda kept: inside(mesh, kept, name))


def occupied(mesh: Mesh, cells: int = 64) -> Marks:
    """Which cells `(D, H, W)` of a cube around a closed mesh have their centre inside: z from rear to front, y, x.

    Args:
        mesh: of any size and place.
        cells: along each axis of the cube, which is a tenth wider than the mesh's longest side.
    """
    low, high = mesh.vertices.min(axis=0), mesh.vertices.max(axis=0)
    centres = ((2 * np.arange(cells) + 1) / cells - 1) * 0.55 * (high - low).max()
    z, y, x = np.meshgrid(centres, centres, centres, indexing="ij")
    places = np.stack([x.ravel(), y.ravel(), z.ravel()], axis=1) + (low + high) / 2
    return (crossings(mesh, places, 1) >= 1).reshape(cells, cells, cells)


def surface(mesh: Mesh, n: int, draw: np.random.Generator, name: str = "mesh") -> tuple[Array, Array]:
    """Points spread evenly over the boundary of what a mesh encloses, and outward unit normals: `(n, 3)` each.

    Faces that lie within the solid, as where parts overlap, get no points.

    Raises:
        DataError: if hardly any face bounds the solid.
    """
    a, b, c = mesh.corners.transpose(1, 0, 2)
    across = np.cross(b - a, c - a)
    area = np.linalg.norm(across, axis=1)
    ends = np.cumsum(area)
    found, count = [], 0
    for _ in range(ROUNDS):
        trials = n - count + 64
        face = np.searchsorted(ends, draw.random(trials) * ends[-1], side="right").clip(max=len(ends) - 1)
        # Uniform over a triangle: the corner of a square is folded over.
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
    raise DataError(f"{name}: hardly any of its faces bounds a solid; close it in a modelling program")
