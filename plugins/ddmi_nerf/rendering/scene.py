"""A medium prepared for rendering, and the views and pictures that cameras take of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import torch
from attrs import field, frozen
from torch import Tensor

from ddmi_core.api import Artefact, Field
from ddmi_nerf.cameras.camera import Camera
from ddmi_nerf.rendering.occupancy_grid import CELLS, OccupancyGrid
from ddmi_nerf.rendering.radiance import FieldRadiance, Radiance
from ddmi_nerf.rendering.ray_marching import STEP, march

BAND = 65536  # pixels rendered at once
SURFACE = 0.5  # opacity above which a pixel has a normal
REACH = 1 / 40  # step of finite differences of the density
Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]


@frozen(eq=False)
class View:
    """A rendered view, as tensors."""

    colour: Tensor  # (H, W, 3), in [-1, 1], over the background
    opacity: Tensor  # (H, W), in [0, 1]
    depth: Tensor  # (H, W), mean distance along the ray from the camera; infinite where opacity is 0
    normals: Tensor  # (H, W, 3), outward unit vectors in the world; zeros where opacity is below 0.5


@frozen(eq=False)
class Scene:
    """A medium in the cube [-1, 1]^3, prepared for rendering without gradients."""

    radiance: Radiance
    grid: OccupancyGrid | None  # occupied cells; without it, rays are sampled everywhere
    background: Tensor  # (3,), in [-1, 1]
    step: float = STEP  # between samples of a ray

    @staticmethod
    def of(medium: Field | Radiance, background: Tensor, step: float = STEP, cells: int = CELLS) -> Scene:
        """Prepare one field (B = 1), or a function of points.

        A field keeps what is prepared, so this costs next to nothing from the second time on, until the field changes.

        Raises:
            ValueError: if the batch is not one.
        """

        def prepared(medium: Field | Radiance) -> tuple[Radiance, OccupancyGrid]:
            radiance = FieldRadiance(medium) if isinstance(medium, Field) else medium
            return radiance, OccupancyGrid.of(radiance, cells)

        if isinstance(medium, Field):
            return Scene(*medium.kept(("ddmi_nerf.scene", cells), prepared), background, step)
        return Scene(*prepared(medium), background, step)

    def view(self, camera: Camera) -> View:
        """Render a view in bands of rows, so that memory apart from the result does not grow with its size."""
        rows = max(1, BAND // camera.width)
        bands = [
            self._band(camera.cropped(0, top, camera.width, min(rows, camera.height - top)))
            for top in range(0, camera.height, rows)
        ]
        return View(*(torch.cat(part) for part in zip(*bands, strict=True)))

    def _band(self, camera: Camera) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        place = self.background.device
        origins, directions = (part.to(place) for part in camera.rays())
        seen = march(self.radiance, origins, directions, self.background, step=self.step, grid=self.grid)
        normals = torch.zeros_like(seen.colour)
        solid = seen.opacity > SURFACE
        normals[solid] = self.normals(origins[solid] + seen.depth[solid, None] * directions[solid])
        shape = (camera.height, camera.width)
        parts = (seen.colour, seen.opacity, seen.depth, normals)
        return tuple(part.view(*shape, *part.shape[1:]) for part in parts)  # type: ignore[return-value]

    @torch.no_grad()
    def normals(self, points: Tensor) -> Tensor:
        """Unit normals `(N, 3)` at points `(N, 3)`, opposite to the gradient of the density; zeros where it vanishes.

        Uses finite differences, because gradients of basis fields are discontinuous at cell borders, of the logarithm,
        because density rises by orders of magnitude at a surface.
        """
        shifts = REACH * torch.cat([torch.eye(3), -torch.eye(3)]).to(points)
        around = (points[:, None] + shifts).clamp(-1, 1).view(-1, 3)
        logarithm = torch.log1p(self.radiance(around)[0]).view(-1, 2, 3)
        slope = logarithm[:, 1] - logarithm[:, 0]
        length = slope.norm(dim=1, keepdim=True)
        return torch.where(length > 0, slope / torch.where(length > 0, length, 1), 0)


@frozen(eq=False, repr=False)
class Picture(Artefact):
    """A rendered view as NumPy arrays: the artefact of the domain."""

    colour: Floats  # (H, W, 3), in [-1, 1], over the background
    opacity: Floats  # (H, W), in [0, 1]
    depth: Floats  # (H, W), mean distance along the ray from the camera; 0 where opacity is 0
    normals: Floats  # (H, W, 3), outward unit vectors in the world; zeros where opacity is below 0.5
    camera: Camera
    scene: Scene | None = field(default=None, repr=False)  # the rendered scene; None for images from a data set

    @staticmethod
    def of(scene: Scene, camera: Camera) -> Picture:
        """Render a view of a scene."""
        seen = scene.view(camera)
        colour, opacity, depth, normals = (
            part.cpu().numpy() for part in (seen.colour, seen.opacity, seen.depth, seen.normals)
        )
        return Picture(colour, opacity, np.where(np.isfinite(depth), depth, 0), normals, camera, scene)

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.colour.shape[0], self.colour.shape[1]

    def pixels(self) -> Bytes:
        """Colours as bytes `(H, W, 3)`."""
        return as_bytes(self.colour)

    def normal_map(self) -> Bytes:
        """Normals as bytes `(H, W, 3)`: -1 to 1 maps to 0 to 255, in x, y, z; white where the normal is zero."""
        seen = np.abs(self.normals).sum(axis=2, keepdims=True) > 0
        return as_bytes(np.where(seen, self.normals, 1.0))


def as_bytes(colours: Floats) -> Bytes:
    """Colours in [-1, 1] as bytes."""
    found: Bytes = np.clip(colours * 127.5 + 128.0, 0, 255).astype(np.uint8)
    return found


def frames(scene: Scene, cameras: Sequence[Camera]) -> Iterator[Bytes]:
    """Render views one by one, as bytes `(rows, columns, 3)`."""
    for camera in cameras:
        yield as_bytes(scene.view(camera).colour.cpu().numpy())
