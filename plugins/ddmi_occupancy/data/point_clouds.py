"""Reads point clouds of surfaces (ply, xyz, npz) as signals: normals and inside tests are estimated where needed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ddmi_core.errors import DataError
from ddmi_core.parts import Change, damaged, npz_arrays
from ddmi_occupancy.data.mesh_formats import decoded
from ddmi_occupancy.data.ply import ply_elements
from ddmi_occupancy.data.sampling import Packing, Rows, points_around
from ddmi_occupancy.geometry.mesh import EXTENT, Array, Marks

SUFFIXES = (".ply", ".xyz", ".npz")
MOST = 8192  # points that are used, chosen at random
LEAST = 64
NEIGHBOURS = 12  # of which a normal and the area of a point are estimated
FLAT = 0.003  # smallest volume per area; for a plate, half of its thickness
PAIRS = 1 << 20  # pairs of points whose solid angles are computed at once


def read_cloud(path: Path, up: str, packing: Packing) -> tuple[Rows, tuple[Change, ...]]:
    """A point cloud as a row, centred and scaled as meshes are, and what was changed.

    Normals are estimated from neighbours if the file has none. A point in space is inside if the winding number of the
    oriented points is above 1/2: the sum of their areas as seen from there, over 4 pi (arXiv 1801.06435, section 3).

    Args:
        path: of the file.
        up: the axis that points up in it, `y` or `z`.
        packing: layout of the row.

    Raises:
        DataError: if the file cannot be read, has too few points, or encloses nothing.
    """
    points, normals = _stored(path)
    if len(points) < LEAST:
        raise DataError(f"{path}: {len(points)} points are too few for a surface; give at least {LEAST}")
    if not np.isfinite(points).all():
        raise DataError(f"{path}: coordinates are not finite; export the points again")
    if up == "z":
        turn = np.array([1.0, 1.0, -1.0])
        points = points[:, [0, 2, 1]] * turn
        normals = None if normals is None else normals[:, [0, 2, 1]] * turn
    low, high = points.min(axis=0), points.max(axis=0)
    if not (high - low).max() > 0:
        raise DataError(f"{path}: all points are the same; export them again")
    scale = float(2 * EXTENT / (high - low).max())
    place = {"centre": ((low + high) / 2).tolist(), "scale": scale, "up": up}
    changes = [Change("moved to the centre and scaled", scale, "times", place)]
    draw = np.random.default_rng(0)
    kept = draw.permutation(len(points))[: max(MOST, packing.surface)]
    placed = (points[kept] - (low + high) / 2) * scale
    length = None if normals is None else np.linalg.norm(normals, axis=1)
    if normals is None or length is None or not (length > 0).all():
        outward, areas = _estimated(placed)
        changes.append(Change("given normals from neighbouring points", len(placed), "points"))
    else:
        outward, areas = normals[kept] / length[kept, None], _areas(placed)
    volume = (areas * (placed * outward).sum(axis=1)).sum() / 3
    if abs(volume) < FLAT * areas.sum():
        raise DataError(f"{path}: the points enclose nothing; a surface of a solid is required, not a sheet")
    if volume < 0:
        outward = -outward
        changes.append(Change("turned outwards in part", 1.0, "of the normals"))
    chosen = np.arange(packing.surface) % len(placed)
    around = points_around(placed[chosen], packing.points, draw)

    def inside(places: Array) -> Marks:
        return cloud_winding_number(placed, outward, areas, places) > 0.5

    return packing.row(placed[chosen], outward[chosen], around, inside), tuple(changes)


def cloud_winding_number(points: Array, normals: Array, areas: Array, places: Array) -> Array:
    """Winding numbers `(P,)` of oriented points around places `(P, 3)`, by their solid angles.

    Args:
        points: `(N, 3)`.
        normals: outward unit vectors, `(N, 3)`.
        areas: of the surface around each point, `(N,)`.
        places: `(P, 3)`.
    """
    result = np.empty(len(places))
    least = np.sqrt(areas / np.pi) / 2  # nearer than that, a point would count as more than its disc
    along = areas[:, None] * normals
    offsets = (points * along).sum(axis=1)
    step = max(1, PAIRS // len(points))
    for start in range(0, len(places), step):
        part = places[start : start + step]
        squared = (part**2).sum(axis=1)[:, None] - 2 * part @ points.T + (points**2).sum(axis=1)
        distance = np.maximum(np.sqrt(squared.clip(min=0)), least)
        result[start : start + step] = ((offsets - part @ along.T) / distance**3).sum(axis=1) / (4 * np.pi)
    return result


def _areas(points: Array) -> Array:
    """Area of the surface around each point: of a disc that reaches the k-th neighbour, over k."""
    from scipy.spatial import cKDTree

    reach = cKDTree(points).query(points, k=NEIGHBOURS + 1)[0][:, -1]
    return np.asarray(np.pi * reach**2 / NEIGHBOURS)


def _estimated(points: Array) -> tuple[Array, Array]:
    """Normals from the plane of the neighbours, and areas.

    Signs follow a minimum spanning tree of neighbours with similar normals (Hoppe et al., Surface reconstruction from
    unorganized points, 1992, section 3.3). Where a connected part reaches furthest, its normals point there.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import breadth_first_order, connected_components, minimum_spanning_tree
    from scipy.spatial import cKDTree

    count = len(points)
    distance, index = cKDTree(points).query(points, k=NEIGHBOURS + 1)
    offsets = points[index] - points[index].mean(axis=1, keepdims=True)
    normals = np.linalg.eigh(np.einsum("nki,nkj->nij", offsets, offsets))[1][:, :, 0]
    rows, columns = np.repeat(np.arange(count), NEIGHBOURS), index[:, 1:].reshape(-1)
    likeness = np.abs((normals[rows] * normals[columns]).sum(axis=1))
    graph = coo_array((1.001 - likeness.clip(max=1), (rows, columns)), shape=(count, count)).tocsr()
    tree = minimum_spanning_tree(graph.maximum(graph.T))
    parts, label = connected_components(tree, directed=False)
    for part in range(parts):
        own = np.flatnonzero(label == part)
        order, before = breadth_first_order(tree, own[0], directed=False)
        for point in order[1:]:
            if normals[point] @ normals[before[point]] < 0:
                normals[point] *= -1
        ends = np.concatenate([own[points[own].argmax(axis=0)], own[points[own].argmin(axis=0)]])
        towards = np.concatenate([np.eye(3), -np.eye(3)])
        if (normals[ends] * towards).sum() < 0:
            normals[own] *= -1
    return normals, np.pi * distance[:, -1] ** 2 / NEIGHBOURS


def _stored(path: Path) -> tuple[Array, Array | None]:
    """Points `(N, 3)` of a file, and their normals if it has any."""
    columns: Any
    match path.suffix.lower():
        case ".ply":
            vertex = ply_elements(path.read_bytes(), str(path)).get("vertex", {})
            if not {"x", "y", "z"} <= vertex.keys():
                raise DataError(f"{path}: it has no vertices with x, y and z; export it again")
            names = ["x", "y", "z", *(("nx", "ny", "nz") if {"nx", "ny", "nz"} <= vertex.keys() else ())]
            columns = np.stack([np.asarray(vertex[name], dtype=np.float64) for name in names], axis=1)
        case ".npz":
            with npz_arrays(path, str(path), "an NPZ file") as file:
                if "points" not in file:
                    raise DataError(f"{path}: no array `points`; it has {', '.join(file) or 'none'}")
                columns = [np.asarray(file[name], dtype=np.float64) for name in ("points", "normals") if name in file]
            if (
                any(each.ndim != 2 or each.shape[1] != 3 for each in columns)
                or len({len(each) for each in columns}) > 1
            ):
                raise DataError(f"{path}: `points` and `normals` must have equal shapes (N, 3)")
            columns = np.concatenate(columns, axis=1)
        case _:
            with damaged(str(path), "a text file of coordinates", "write three or six numbers on each line"):
                text = decoded(path.read_bytes()).replace(",", " ").replace(";", " ")
                rows = [words for line in text.split("\n") if (words := line.partition("#")[0].split())]
                columns = np.array([row[:6] if len(row) >= 6 else row[:3] for row in rows], dtype=np.float64)
                if columns.ndim != 2 or columns.shape[1] < 3:
                    raise DataError(f"{path}: a line has not three or six numbers: x y z, or x y z nx ny nz")
    normals = columns[:, 3:6] if columns.shape[1] >= 6 else None
    if normals is not None and (np.abs(np.linalg.norm(normals, axis=1) - 1) > 0.1).mean() > 0.5:
        normals = None  # colours, for example
    return columns[:, :3], normals
