"""Coloured meshes of scenes, extracted by marching cubes at a level of the density."""

from __future__ import annotations

from math import log

import numpy as np
import numpy.typing as npt
import torch
from attrs import frozen
from torch import Tensor

from ddmi_core.errors import RequestError
from ddmi_core.parts import extract_surface
from ddmi_nerf.rendering.scene import Scene
from ddmi_nerf.rendering.volume_rendering import absorbed

CELLS = 128
LEAST, LARGEST = 4, 512  # cells along an axis
LEVEL = 10.0  # density; a layer of 0.1 units has an opacity of 63 %
THINNEST = 1e-3  # lower limit of the density
FINE = 2  # spacing in cells of the lattice that searches the cube; larger ones can miss small, separate parts
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
    place = scene.background.device
    found = extract_surface(
        lambda points: _logarithm(scene, points.to(place)) - log(level), (cells,) * 3, step=FINE, normals=False
    )
    if not len(found.faces):
        return ColouredMesh(found.vertices, found.faces, found.normals, found.vertices)
    vertices = torch.from_numpy(found.vertices)
    parts = [_coloured(scene, part.to(place), 2 / cells) for part in torch.split(vertices, VERTICES)]
    normals, colours = (torch.cat(part).cpu().numpy() for part in zip(*parts, strict=True))
    return ColouredMesh(found.vertices, found.faces, normals, colours)


def _logarithm(scene: Scene, points: Tensor) -> Tensor:
    """Logarithm `(N,)` of the density at points `(N, 3)`; that of the thinnest one outside of occupied cells."""
    full = torch.ones_like(points[:, 0], dtype=torch.bool) if scene.grid is None else scene.grid.at(points)
    values = torch.full_like(points[:, 0], log(THINNEST))
    if full.any():
        values[full] = scene.radiance(points[full])[0].clamp_min(THINNEST).log()
    return values


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
