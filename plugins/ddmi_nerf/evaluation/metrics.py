"""Metrics of rendered fields: PSNR and SSIM of views, and consistency of depths between cameras."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional as F

from ddmi_core.api import Field
from ddmi_core.parts import structural_similarity
from ddmi_nerf.cameras.camera import Camera
from ddmi_nerf.cameras.orbit import orbit
from ddmi_nerf.rendering.renderer import NerfRenderer
from ddmi_nerf.rendering.scene import SURFACE, Scene, View
from ddmi_nerf.signal import ViewSignal

RANGE = 2.0  # colours lie in [-1, 1]
EXACT = 1e-10  # least mean squared error, to keep PSNR finite
AROUND = 8  # cameras on the orbit; each is compared with the next
ELEVATION, DISTANCE = 20.0, 2.6
TOLERANCE = 0.06  # between depths of the same point, about one cell of 32


def psnr_db(fields: Field, signal: ViewSignal, renderer: NerfRenderer) -> Tensor:
    """Peak signal-to-noise ratio of the signal's views `(B,)`, mean over views."""
    found = []
    for index, field in enumerate(fields):
        found.append(decibels(views(field, signal, index, renderer), signal.images[index].cpu()).mean())
    return torch.stack(found)


def decibels(shown: Tensor, true: Tensor) -> Tensor:
    """Peak signal-to-noise ratio `(K,)` of views `(K, 3, H, W)`."""
    error = (shown - true).square().mean(dim=(1, 2, 3)).clamp_min(EXACT)
    return 10 * torch.log10(RANGE**2 / error)


def ssim(fields: Field, signal: ViewSignal, renderer: NerfRenderer) -> Tensor:
    """Structural similarity of the signal's views `(B,)`, mean over views."""
    return torch.stack(
        [
            structural_similarity(views(field, signal, index, renderer), signal.images[index].cpu()).mean()
            for index, field in enumerate(fields)
        ]
    ).float()


def depth_consistency(fields: Field, signal: ViewSignal, renderer: NerfRenderer) -> Tensor:
    """Share of the surface points in one view that the next view, 45 degrees on, confirms, `(B,)`.

    It is a property of the field alone: depths of a surface agree, whereas depths of fog differ from each direction. It
    is 0 for an empty field.
    """
    rows, columns = renderer.size
    cameras = orbit(Camera.orbit(0, ELEVATION, DISTANCE, width=columns, height=rows), AROUND)
    found = []
    for field in fields:
        scene = renderer.scene(field)
        shown = [scene.view(camera) for camera in cameras]
        parts = [
            depth_agreement(camera, view, other, other_view)
            for (camera, view), (other, other_view) in pairwise(
                [*zip(cameras, shown, strict=True), (cameras[0], shown[0])]
            )
        ]
        kept, all_ = (sum(part) for part in zip(*parts, strict=True))
        found.append(kept / max(1, all_))
    return torch.tensor(found)


def depth_agreement(camera: Camera, view: View, other: Camera, other_view: View) -> tuple[int, int]:
    """Reproject the surface points of one view into another: number of points that agree, and number of visible points.

    A point is occluded, and not counted, where the other view shows a nearer surface. It disagrees where the other view
    shows a farther surface, or none.
    """
    solid = view.opacity > SURFACE
    origins, directions = camera.rays()
    depth = view.depth.cpu()[solid.cpu()][:, None]
    places = origins.view(*solid.shape, 3)[solid.cpu()] + depth * directions.view(*solid.shape, 3)[solid.cpu()]
    spots, ahead = other.project(places.double().numpy())
    column, row = (torch.from_numpy(spots[:, axis]).floor().long() for axis in (0, 1))
    inside = torch.from_numpy(ahead > 0) & (column >= 0) & (row >= 0) & (column < other.width) & (row < other.height)
    distance = (places[inside] - torch.from_numpy(other.origin).float()).norm(dim=1)
    # Depth varies within a pixel, especially at grazing angles, so neighbouring pixels count too.
    lowest, highest = (part[row[inside], column[inside]] for part in _around(other_view))
    agrees = (lowest - TOLERANCE <= distance) & (distance <= highest + TOLERANCE)
    hidden = ~agrees & (lowest < distance)
    return int(agrees.sum()), int((~hidden).sum())


def _around(view: View) -> tuple[Tensor, Tensor]:
    """Least and greatest depth of each pixel and its neighbours; infinity and minus infinity if there is no surface."""
    depth = torch.where(view.opacity > SURFACE, view.depth, torch.inf).cpu()[None]
    greatest = F.max_pool2d(torch.where(depth.isfinite(), depth, -torch.inf), 3, 1, 1)
    return -F.max_pool2d(-depth, 3, 1, 1)[0], greatest[0]


def views(field: Field, signal: ViewSignal, index: int, renderer: NerfRenderer) -> Tensor:
    """Views `(K, 3, H, W)` of one field by the cameras of one object of a signal."""
    scene = renderer.scene(field)
    cameras = [signal.camera(index, view) for view in range(signal.images.shape[1])]
    return pictures(scene, cameras)


def pictures(scene: Scene, cameras: Sequence[Camera]) -> Tensor:
    """Views `(K, 3, H, W)` by cameras of one size."""
    return torch.stack([scene.view(camera).colour.cpu().movedim(-1, 0) for camera in cameras])
