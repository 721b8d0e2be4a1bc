"""Coloured meshes of scenes, extracted by marching cubes at a level of the density."""

from __future__ import annotations

from math import log
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from attrs import frozen
from torch import Tensor

from ddmi_core.errors import RequestError
from ddmi_core.parts import lattice_points
from ddmi_nerf.rendering.scene import Scene
from ddmi_nerf.rendering.volume_rendering import absorbed

CELLS = 128
LEAST, LARGEST = 4, 512  # cells along an axis
LEVEL = 10.0  # density; a layer of 0.1 units has an opacity of 63 %
THINNEST = 1e-3  # lower limit of the density
VERTICES = 8192  # coloured at once
OUTWARDS, INWARDS, PARTS = 1.0, 4.0, 10  # start and end of vertices' rays, in cells, and their number of samples


@frozen(eq=False)
class ColouredMesh:
    """A closed triangle mesh with a colour at each vertex; empty if there is no surface."""

    vertices: npt.NDArray[np.float32]  # (V, 3), in [-1, 1], columns x, y, z; z is up
    faces: npt.NDArray[np.int32]  # (F, 3), anticlockwise as seen from outside
    normals: npt.NDArray[np.float32]  # (V, 3), unit vectors that point outwards
    colours: npt.NDArray[np.float32]  # (V, 3), in [-1, 1]


@torch.no_grad()
def extract_mesh(scene: Scene, cells: int = CELLS, level: float = LEVEL) -> ColouredMesh:
    """Extract the surface where the density reaches a level, by marching cubes on the logarithm of the density.

    The colour of a vertex is rendered along a short ray through it, perpendicular to the surface. The mesh is closed at
    the faces of the cube.

    Args:
        scene: the medium; only its occupied cells are evaluated.
        cells: along each axis, from 4 to 512.
        level: density.

    Raises:
        RequestError: if the number of cells is out of range, or densities are not finite.
    """
    if not LEAST <= cells <= LARGEST:
        raise RequestError(f"{cells} cells are out of range: meshes use {LEAST} to {LARGEST} cells along each axis")
    values = np.pad(_logarithms(scene, cells), 1, constant_values=log(THINNEST))
    if not np.isfinite(values).all():
        raise RequestError("the density of the field is not finite, so it has no surface; check the model's weights")
    if values.max() <= log(level):
        empty = np.zeros((0, 3), dtype=np.float32)
        return ColouredMesh(empty, empty.astype(np.int32), empty, empty)
    found, faces, _, _ = _measure().marching_cubes(values, log(level), gradient_direction="ascent")
    vertices = torch.from_numpy(np.clip((found - 1) * (2 / cells) - 1, -1, 1).astype(np.float32))
    place = scene.background.device
    parts = [_coloured(scene, part.to(place), 2 / cells) for part in torch.split(vertices, VERTICES)]
    normals, colours = (torch.cat(part).cpu().numpy() for part in zip(*parts, strict=True))
    return ColouredMesh(vertices.numpy(), faces.astype(np.int32), normals, colours)


def _measure() -> Any:
    # Takes half a second to import.
    from skimage import measure

    return measure


def _logarithms(scene: Scene, cells: int) -> npt.NDArray[np.float32]:
    """Logarithms of the density on a lattice, `(x, y, z)`."""
    axis = torch.linspace(-1, 1, cells + 1, device=scene.background.device)
    slabs = []
    for height in axis:
        points = lattice_points([axis, axis, height[None]])
        full = torch.ones_like(points[:, 0], dtype=torch.bool) if scene.grid is None else scene.grid.at(points)
        values = torch.full_like(points[:, 0], log(THINNEST))
        if full.any():
            values[full] = scene.radiance(points[full])[0].clamp_min(THINNEST).log()
        slabs.append(values.view(len(axis), len(axis)).t().cpu())
    found: npt.NDArray[np.float32] = torch.stack(slabs, dim=-1).numpy()
    return found


def _coloured(scene: Scene, vertices: Tensor, cell: float) -> tuple[Tensor, Tensor]:
    """Normals and colours of vertices."""
    normals = scene.normals(vertices)
    inwards = torch.linspace(-OUTWARDS, INWARDS, PARTS, device=vertices.device) * cell
    points = vertices[:, None] - inwards[:, None] * normals[:, None]
    density, colour = scene.radiance(points.clamp(-1, 1).view(-1, 3))
    length = (OUTWARDS + INWARDS) * cell / PARTS
    weights, _ = absorbed(density.view(-1, PARTS) * length, torch.ones_like(points[..., 0]))
    # The small constant keeps colours defined for vertices with almost no density along their ray.
    shares = (weights + 1e-9) / (weights + 1e-9).sum(dim=1, keepdim=True)
    return normals, (shares[..., None] * colour.view(-1, PARTS, 3)).sum(dim=1)
