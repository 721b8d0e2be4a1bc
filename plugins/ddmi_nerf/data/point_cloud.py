"""Reading of coloured point clouds from PLY files."""

from __future__ import annotations

from typing import Any

import numpy as np

from ddmi_core.errors import DataError
from ddmi_core.parts import Entry, damaged
from ddmi_nerf.cameras.camera import Floats
from ddmi_nerf.cameras.conventions import Matrix
from ddmi_nerf.cameras.world import moved_point

FEWEST = 16


def read_points(entry: Entry, world: Matrix, centre: Floats, extent: float) -> tuple[Floats, Floats]:
    """Read the points inside the object's cube, and their colours.

    Args:
        entry: a PLY file with coloured vertices, in the units of the object's cameras.
        world: `(4, 4)`, from these units to those of the cube's centre and extent.
        centre: `(3,)`, of the cube.
        extent: half of its side.

    Returns:
        `(N, 3)` in [-1, 1], without the points outside the cube; and `(N, 3)` in [0, 1].

    Raises:
        DataError: if the file cannot be read, has no colours, or fewer than 16 points are in the cube.
    """
    import trimesh

    with damaged(entry.name, "a PLY file"):
        with entry.opened() as file:
            cloud: Any = trimesh.load(file, file_type="ply", process=False)
        points = np.asarray(cloud.vertices, dtype=np.float64)
        colours = cloud.visual.vertex_colors if cloud.visual.kind == "vertex" else np.zeros((0, 4))
    if len(colours) != len(points):
        raise DataError(f"{entry.name}: the vertices have no colours; save them with red, green and blue")
    placed = (moved_point(points, world) - centre) / extent
    inside = (np.abs(placed) <= 1).all(axis=1)
    if inside.sum() < FEWEST:
        raise DataError(
            f"{entry.name}: only {inside.sum()} of {len(points)} points are in the cube of half side {extent:g} around "
            f"{centre.round(3).tolist()}; give another half side with --set domain.extent"
        )
    return placed[inside], np.asarray(colours)[inside, :3] / 255
