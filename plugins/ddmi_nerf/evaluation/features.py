"""Image features: for Fréchet distances of views, and for nearest neighbours of samples among signals."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from ddmi_core.api import Field
from ddmi_core.parts import Features
from ddmi_nerf.cameras.camera import Camera
from ddmi_nerf.evaluation.metrics import DISTANCE, pictures
from ddmi_nerf.rendering.renderer import NerfRenderer
from ddmi_nerf.signal import ViewSignal

PLAIN = "colour-and-edges"
WORKING = 32  # rows and columns of images for the built-in features
CELLS = 4  # along each side
LUMA = (0.299, 0.587, 0.114)
EDGES = 4.0  # gives edges about the same variance as colours, on the default cars
SIZE = 24  # pixels a side of the views of a field
ELEVATIONS = (-2.0, 14.0, 30.0, 50.0)  # about equal parts of the sphere between -10 and 75 degrees
AZIMUTHS = 4  # at each elevation, shifted from one elevation to the next


def colour_and_edges(pictures: Tensor) -> Tensor:
    """Mean colours, and mean gradient magnitudes of grey values along rows and columns, in 4 x 4 cells (48 + 32).

    Args:
        pictures: `(N, 3, H, W)`, in [-1, 1].

    Returns:
        `(N, 80)`
    """
    small = F.interpolate(pictures, (WORKING, WORKING), mode="bilinear", antialias=True)
    grey = torch.einsum("nchw,c->nhw", small, small.new_tensor(LUMA))
    slopes = torch.stack([grey.diff(dim=2)[:, 1:].abs(), grey.diff(dim=1)[:, :, 1:].abs()], dim=1)
    parts = (F.adaptive_avg_pool2d(small, CELLS), EDGES * F.adaptive_avg_pool2d(slopes, CELLS))
    return torch.cat([part.flatten(1) for part in parts], dim=1)


FEATURES = Features(PLAIN, f"pictures averaged to {WORKING} x {WORKING}", colour_and_edges)


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
