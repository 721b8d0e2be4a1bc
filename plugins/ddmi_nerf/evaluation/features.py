"""Features of objects from their views: for distances between sets, and for nearest neighbours."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from ddmi_core.api import Field
from ddmi_nerf.cameras.camera import Camera
from ddmi_nerf.evaluation.metrics import DISTANCE, pictures
from ddmi_nerf.rendering.renderer import NerfRenderer
from ddmi_nerf.signal import ViewSignal

CELLS = 4  # along each side
SIZE = 24  # pixels a side of the views of a field
ELEVATIONS = (-2.0, 14.0, 30.0, 50.0)  # about equal parts of the sphere between -10 and 75 degrees
AZIMUTHS = 4  # at each elevation, shifted from one elevation to the next


def field_features(fields: Field, renderer: NerfRenderer) -> Tensor:
    """Features `(B, 96)` of fields, from sixteen views around them."""
    return torch.stack([summary(views) for views in surrounding(fields, renderer, SIZE)])


def surrounding(fields: Field, renderer: NerfRenderer, size: int) -> Iterator[Tensor]:
    """Yield sixteen views `(16, 3, size, size)` around each field."""
    cameras = [
        Camera.orbit(360 / AZIMUTHS * (turn + row / len(ELEVATIONS)), elevation, DISTANCE, width=size, height=size)
        for row, elevation in enumerate(ELEVATIONS)
        for turn in range(AZIMUTHS)
    ]
    for field in fields:
        yield pictures(renderer.scene(field), cameras)


def signal_features(signal: ViewSignal) -> Tensor:
    """Features `(B, 96)` of objects, from their own views, which should surround them."""
    return torch.stack([summary(views) for views in signal.images.float().cpu()])


def summary(views: Tensor) -> Tensor:
    """Mean and standard deviation over views of mean colours in cells: `(K, 3, H, W)` to `(96,)`."""
    cells = F.adaptive_avg_pool2d(views, CELLS).flatten(1)
    return torch.cat([cells.mean(dim=0), cells.std(dim=0, correction=0)])
