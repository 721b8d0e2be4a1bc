"""Small scenes given by formulas, for tests of rendering."""

from __future__ import annotations

import torch
from torch import Tensor

from ddmi_nerf.rendering.radiance import raw_density
from ddmi_nerf.rendering.scene import Scene
from ddmi_nerf.signal import ViewSignal

BEHIND = torch.tensor([0.6, 0.5, 0.4])


def solids(points: Tensor) -> tuple[Tensor, Tensor]:
    """A ball whose colour changes, and an orange box that sticks in it."""
    ball = (points - points.new_tensor([0.1, 0.0, -0.1])).norm(dim=1) < 0.45
    box = (points - points.new_tensor([-0.3, 0.2, 0.3])).abs().amax(dim=1) < 0.25
    colour = torch.where(box[:, None], points.new_tensor([0.8, -0.2, -0.7]), points.clamp(-1, 1))
    return 80.0 * (ball | box), colour


def fog(points: Tensor) -> tuple[Tensor, Tensor]:
    """The whole cube evenly filled, too thin to stop a ray."""
    return torch.full_like(points[:, 0], 0.4), torch.full_like(points, -0.25)


def nothing(points: Tensor) -> tuple[Tensor, Tensor]:
    """An empty cube."""
    return torch.zeros_like(points[:, 0]), torch.zeros_like(points)


def ball_of(number: int):
    """A ball whose place, size and colour depend on a number."""
    draw = torch.Generator().manual_seed(number)
    place, paint = 0.3 * torch.randn(3, generator=draw), 2 * torch.rand(3, generator=draw) - 1
    radius = 0.2 + 0.3 * torch.rand(1, generator=draw)

    def scene(points: Tensor) -> tuple[Tensor, Tensor]:
        inside = (points - place).norm(dim=1) < radius
        return 80.0 * inside, paint.expand(len(points), 3)

    return scene


class Medium:
    """In place of a field of one signal: a scene given by a formula."""

    device = torch.device("cpu")

    def __init__(self, scene):
        self.scene = scene

    def __call__(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Density and colour at points."""
        return self.scene(points)


def raw(scene, points: Tensor) -> Tensor:
    """Values `(N, 4)` of a field that shows a scene."""
    density, colour = scene(points)
    return torch.cat([raw_density(density)[:, None], 2 * torch.atanh(colour.clamp(-0.999, 0.999))], dim=1)


def decibels(one: Tensor, other: Tensor) -> float:
    """Peak signal-to-noise ratio of colours in [-1, 1]."""
    return float(-10 * ((one - other) / 2).square().mean().log10())


def seen(cameras):
    """The solids as a signal from some cameras, with one point that means nothing."""
    views = [Scene.of(solids, BEHIND).view(camera) for camera in cameras]
    return ViewSignal(
        images=torch.stack([view.colour.movedim(-1, 0) for view in views])[None],
        opacity=torch.stack([view.opacity for view in views])[None, :, None],
        to_world=torch.stack([torch.from_numpy(camera.to_world) for camera in cameras])[None],
        intrinsics=torch.tensor([camera.intrinsics for camera in cameras])[None],
        points=torch.zeros(1, 1, 3),
        point_colours=torch.zeros(1, 1, 3),
        background=BEHIND[None],
    )
