"""A description of objects without learned weights: colours of coarse cells of their views, mean and spread."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ddmi_core.api import Field
from ddmi_nerf.cameras import Camera
from ddmi_nerf.metrics import DISTANCE, pictures
from ddmi_nerf.rendering import NerfRenderer
from ddmi_nerf.signal import ViewSignal

CELLS = 4  # along each side of a picture
SIZE = 24  # pixels a side of the views of a field
ELEVATIONS = (-2.0, 14.0, 30.0, 50.0)  # equal parts of the sphere between -10 and 75 degrees, about
AZIMUTHS = 4  # of each, turned from one elevation to the next


def describe(fields: Field, renderer: NerfRenderer) -> Tensor:
    """Features `(B, 96)` of fields, from sixteen views around them."""
    cameras = [
        Camera.orbit(360 / AZIMUTHS * (turn + row / len(ELEVATIONS)), elevation, DISTANCE, width=SIZE, height=SIZE)
        for row, elevation in enumerate(ELEVATIONS)
        for turn in range(AZIMUTHS)
    ]
    return torch.stack([summary(pictures(renderer.scene(field), cameras)) for field in fields])


def describe_signal(signal: ViewSignal) -> Tensor:
    """Features `(B, 96)` of objects, from their own views, which should be all around them."""
    return torch.stack([summary(views) for views in signal.images.float().cpu()])


def summary(views: Tensor) -> Tensor:
    """Mean and standard deviation over views of mean colours in cells: `(K, 3, H, W)` to `(96,)`."""
    cells = F.adaptive_avg_pool2d(views, CELLS).flatten(1)
    return torch.cat([cells.mean(dim=0), cells.std(dim=0, correction=0)])
