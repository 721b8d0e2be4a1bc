"""Reader for shapes as released with Occupancy Networks: `pointcloud.npz` and `points.npz` of a folder."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ddmi_core.errors import DataError
from ddmi_core.parts import Change, Decoded, Entry, npz_arrays
from ddmi_occupancy.data.sampling import Packing
from ddmi_occupancy.geometry.mesh import EXTENT, Array

POINTS, CLOUDS = "points.npz", "pointcloud.npz"


def shape_entry(place: Path, name: str) -> Entry:
    """The folder of a shape as one entry; its stamp is that of the file of points in space."""
    path = place / name / POINTS
    try:
        status = path.stat()
        stamp = f"{status.st_size} {status.st_mtime_ns}"
    except OSError:
        stamp = "missing"
    return Entry(name, stamp, lambda: path.open("rb"))


def read_shape(folder: Path, packing: Packing) -> Decoded:
    """The shape of a folder as a row of random points, which depend on the name of the folder.

    In the release, points are uniform over [-0.55, 0.55]^3, and the longest side of a shape is 1. Here the longest side
    is 1.8, so the points are uniform over [-0.99, 0.99]^3. The change records how to undo it.

    Raises:
        DataError: if a file or an array is missing or damaged.
    """
    cloud = _arrays(folder / CLOUDS, ("points", "normals"))
    space = _arrays(folder / POINTS, ("points", "occupancies"))
    surface, normals = (_columns(cloud[name], folder / CLOUDS) for name in ("points", "normals"))
    points, bits = _columns(space["points"], folder / POINTS), space["occupancies"]
    if bits.dtype == np.uint8 and len(bits) < len(points):
        bits = np.unpackbits(bits)[: len(points)]
    if len(surface) != len(normals) or len(points) != len(bits):
        raise DataError(
            f"{folder}: {len(surface)} surface points but {len(normals)} normals, {len(points)} points in space but "
            f"{len(bits)} occupancies; the numbers must be equal: unpack the data again"
        )
    low, high = surface.min(axis=0), surface.max(axis=0)
    scale = 2 * EXTENT / max(float((high - low).max()), 1e-9)
    draw = np.random.Generator(
        np.random.PCG64(int(hashlib.sha256(folder.name.encode("utf-8", "surrogatepass")).hexdigest()[:16], 16))
    )
    shown = _chosen(len(surface), packing.surface, draw)
    placed = (points - (low + high) / 2) * scale
    within = np.flatnonzero((np.abs(placed) <= 1).all(axis=1))
    if not len(within):
        raise DataError(f"{folder / POINTS}: no points in the cube around the shape; unpack the data again")
    drawn = within[_chosen(len(within), packing.points, draw)]
    length = np.linalg.norm(normals[shown], axis=1, keepdims=True)
    row = packing.row(
        (surface[shown] - (low + high) / 2) * scale,
        normals[shown] / np.maximum(length, 1e-9),
        placed[drawn],
        lambda kept: bits[drawn].astype(np.bool_),
    )
    place = {"centre": ((low + high) / 2).tolist(), "scale": scale, "up": "y"}
    return Decoded(row, (Change("moved to the centre and scaled", scale, "times", place),))


def _arrays(path: Path, names: tuple[str, ...]) -> dict[str, npt.NDArray[Any]]:
    if not path.exists():
        raise DataError(f"{path}: missing, although a list names its folder; unpack the data again")
    with npz_arrays(path, str(path), "an NPZ file", "unpack the data again") as file:
        if missing := [name for name in names if name not in file]:
            have = ", ".join(file) or "none"
            raise DataError(f"{path}: no array {' or '.join(missing)}; it has {have}; unpack the data again")
        return {name: file[name] for name in names}


def _columns(values: npt.NDArray[Any], path: Path) -> Array:
    if values.ndim != 2 or values.shape[1] != 3 or not len(values):
        raise DataError(f"{path}: an array has shape {values.shape} instead of (N, 3); unpack the data again")
    if not np.isfinite(values).all():
        raise DataError(f"{path}: coordinates are not finite; unpack the data again")
    return np.asarray(values, dtype=np.float64)


def _chosen(available: int, wanted: int, draw: np.random.Generator) -> npt.NDArray[np.int64]:
    """Numbers of random rows, without repetition if there are enough."""
    order = draw.permutation(available)
    return np.asarray(order[np.arange(wanted) % available])
