"""Faces that bound nothing: their share of a mesh, and walls of a given thickness in their place."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ddmi_core.parts import extract_surface
from ddmi_occupancy.geometry.mesh import Array, Faces, Marks, TriangleMesh, directed, open_edges
from ddmi_occupancy.geometry.mesh_repair import components, oriented, outwards
from ddmi_occupancy.geometry.winding_number import inside

SIDE = 1e-4  # distance from a face at which both of its sides are tested
PROBES = 2048  # points at which faces are tested
FINE = 4  # samples of a sheet per thickness
CELLS = 2  # of the lattice on which walls are extracted, per thickness; vertices are moved onto the surface


def areas(mesh: TriangleMesh) -> Array:
    """Areas of the faces, `(F,)`."""
    a, b, c = mesh.corners.transpose(1, 0, 2)
    return np.asarray(np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2)


def bare_share(faces: TriangleMesh, solid: TriangleMesh, name: str) -> float:
    """Share of the area of faces with the outside of a solid on both sides, from 2048 points.

    Args:
        faces: as stored.
        solid: what they were repaired to.
        name: for messages.
    """
    draw = np.random.default_rng(0)
    area = areas(faces)
    ends = np.cumsum(area)
    at = (np.arange(PROBES) + draw.random(PROBES)) / PROBES * ends[-1]
    chosen = np.searchsorted(ends, at, side="right").clip(max=len(ends) - 1)
    weights = draw.dirichlet(np.ones(3), PROBES)
    corners = faces.corners[chosen]
    points = np.einsum("pk,pkc->pc", weights, corners)
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    steps = SIDE * across / np.linalg.norm(across, axis=1, keepdims=True).clip(min=1e-12)
    below, above = inside(solid, np.concatenate([points - steps, points + steps]), name).reshape(2, PROBES)
    return float((~below & ~above).mean())


def with_walls(mesh: TriangleMesh, thickness: float) -> tuple[TriangleMesh, float]:
    """Closed parts as they are, and walls of a thickness in place of all others.

    A wall is all that is nearer to a face than half of the thickness. What walls enclose, apart from openings narrower
    than the thickness, belongs to them.

    Args:
        mesh: normalised, with any holes.
        thickness: of walls; at most half of the cube.

    Returns:
        A closed mesh, whose parts may overlap, and the share of the area that is replaced.
    """
    turned = oriented(mesh)
    count, part = components(turned)
    size = len(turned.vertices)
    open_parts = _at(turned, open_edges(turned))  # faces at holes
    apart = TriangleMesh(np.zeros((count * size, 0)), turned.faces + part[:, None] * size)
    own_open = _at(apart, open_edges(apart))  # also those beside another part
    a, b, c = turned.corners.transpose(1, 0, 2)
    volume = np.abs(np.bincount(part, np.einsum("ij,ij->i", a, np.cross(b, c)) / 6, count))
    area = areas(turned)
    holes, borders = (np.bincount(part, each, count) > 0 for each in (open_parts & own_open, own_open))
    sheet = holes | (~borders & (volume < SIDE * np.bincount(part, area, count)))
    bare = sheet[part]
    if not bare.any():
        return outwards(turned), 0.0
    wall = _wall(TriangleMesh(turned.vertices, turned.faces[bare]), thickness)
    solid = outwards(TriangleMesh(turned.vertices, turned.faces[~bare])) if not bare.all() else None
    share = float(area[bare].sum() / area.sum())
    if solid is None:
        return wall, share
    faces = np.concatenate([solid.faces, wall.faces + len(solid.vertices)])
    return TriangleMesh(np.concatenate([solid.vertices, wall.vertices]), faces), share


def _at(mesh: TriangleMesh, edges: Faces) -> Marks:
    """Whether faces have one of the edges: `(F,)`."""
    size = len(mesh.vertices)

    def keys(pairs: Faces) -> npt.NDArray[np.int64]:
        return np.asarray(pairs.min(axis=1) * size + pairs.max(axis=1))

    return np.asarray(np.isin(keys(directed(mesh.faces)), keys(edges)).reshape(-1, 3).any(axis=1))


def _wall(sheet: TriangleMesh, thickness: float) -> TriangleMesh:
    """The closed surface of a wall around a sheet."""
    from scipy.spatial import cKDTree

    half = thickness / 2
    near = cKDTree(_samples(sheet, thickness / FINE))
    enclosed = enclosed_cells(near, half)
    cells = len(enclosed)

    def depth(points: Tensor) -> Tensor:
        places = points.detach().cpu().double().numpy()
        found = half - near.query(places, distance_upper_bound=thickness)[0].clip(max=thickness)
        cell = np.floor((places + 1) / 2 * cells).astype(np.int64).clip(0, cells - 1)
        within = enclosed[tuple(cell.T)] & (found < half / 2)
        return torch.from_numpy(np.where(within, np.abs(found) + half, found)).to(points)

    made = extract_surface(depth, (int(np.ceil(2 * CELLS / thickness)),) * 3, normals=False)
    return TriangleMesh(np.array(made.vertices, dtype=np.float64), np.array(made.faces, dtype=np.int64))


def enclosed_cells(near: Any, half: float) -> Marks:
    """Cells `(N, N, N)` of the cube, axes x, y, z, that walls cut off from outside; cells of walls as the nearest ones.

    Args:
        near: `scipy.spatial.cKDTree` of points on the surface.
        half: half of the thickness of the walls around them, which is the side of a cell.
    """
    from scipy.ndimage import distance_transform_edt, label

    cells = int(np.ceil(2 / half))
    centres = (2 * np.arange(cells) + 1) / cells - 1
    grid = np.stack(np.meshgrid(centres, centres, centres, indexing="ij"), axis=-1).reshape(-1, 3)
    filled = np.isfinite(near.query(grid, distance_upper_bound=half)[0]).reshape((cells,) * 3)
    regions, _ = label(np.pad(~filled, 1, constant_values=True))
    enclosed = ((regions != regions[0, 0, 0]) & (regions > 0))[1:-1, 1:-1, 1:-1]
    if filled.all():
        return np.asarray(enclosed)
    nearest = distance_transform_edt(filled, return_distances=False, return_indices=True)
    return np.asarray(enclosed[tuple(nearest)])


def _samples(mesh: TriangleMesh, spacing: float) -> Array:
    """Corners and centres of the faces, halved along their longest edge until none is longer than the spacing."""
    corners = mesh.corners
    found = []
    while len(corners):
        length = np.linalg.norm(corners - np.roll(corners, -1, axis=1), axis=2)
        long = length.max(axis=1) > spacing
        found += [corners[~long].reshape(-1, 3), corners[~long].mean(axis=1)]
        rest, first = corners[long], length[long].argmax(axis=1)
        a, b, c = (rest[np.arange(len(rest)), (first + k) % 3] for k in range(3))
        middle = (a + b) / 2
        corners = np.concatenate([np.stack([a, middle, c], axis=1), np.stack([middle, b, c], axis=1)])
    return np.concatenate(found)
