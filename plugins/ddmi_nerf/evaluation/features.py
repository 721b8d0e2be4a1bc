"""Features of pictures that Fréchet distances of views are computed on: plain ones, or a network from a file."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ddmi_core.api import Field
from ddmi_core.parts import Features, chosen_features
from ddmi_nerf.cameras.camera import Camera
from ddmi_nerf.evaluation.metrics import DISTANCE, pictures
from ddmi_nerf.rendering.renderer import NerfRenderer
from ddmi_nerf.settings import PLAIN
from ddmi_nerf.signal import ViewSignal

WORKING = 32  # rows and columns at which the plain features look at pictures
CELLS = 4  # along each side
LUMA = (0.299, 0.587, 0.114)
EDGES = 4.0  # makes the spread of the features of edges about that of the colours, on the default cars
PIXELS = 299  # rows and columns that Inception networks are trained on
SIZE = 24  # pixels a side of the views of a field
ELEVATIONS = (-2.0, 14.0, 30.0, 50.0)  # equal parts of the sphere between -10 and 75 degrees, about
AZIMUTHS = 4  # of each, turned from one elevation to the next


def view_features(choice: str) -> Features:
    """The features that a setting names: `colour-and-edges`, or the path of a TorchScript file.

    A network takes pictures `(N, 3, 299, 299)` in [-1, 1] and gives `(N, F)`.

    Raises:
        DataError: if the file is missing or is no TorchScript.
    """
    ready = Features(PLAIN, f"pictures averaged to {WORKING} x {WORKING}", colour_and_edges)
    return chosen_features(choice, ready, resized, f"pictures resized to {PIXELS} x {PIXELS}, bilinear, in [-1, 1]")


def resized(pictures: Tensor) -> Tensor:
    """Pictures `(N, 3, H, W)` of the size that networks take."""
    return F.interpolate(pictures, (PIXELS, PIXELS), mode="bilinear", antialias=True)


def colour_and_edges(pictures: Tensor) -> Tensor:
    """What colours pictures have where, and how many edges of which kind.

    Mean colours of 4 x 4 cells (48), and in the same cells the mean sizes of the slopes of grey values along rows and
    along columns (32).

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


def field_features(fields: Field, renderer: NerfRenderer) -> Tensor:
    """Features `(B, 96)` of fields, from sixteen views around them."""
    cameras = [
        Camera.orbit(360 / AZIMUTHS * (turn + row / len(ELEVATIONS)), elevation, DISTANCE, width=SIZE, height=SIZE)
        for row, elevation in enumerate(ELEVATIONS)
        for turn in range(AZIMUTHS)
    ]
    return torch.stack([summary(pictures(renderer.scene(field), cameras)) for field in fields])


def signal_features(signal: ViewSignal) -> Tensor:
    """Features `(B, 96)` of objects, from their own views, which should be all around them."""
    return torch.stack([summary(views) for views in signal.images.float().cpu()])


def summary(views: Tensor) -> Tensor:
    """Mean and standard deviation over views of mean colours in cells: `(K, 3, H, W)` to `(96,)`."""
    cells = F.adaptive_avg_pool2d(views, CELLS).flatten(1)
    return torch.cat([cells.mean(dim=0), cells.std(dim=0, correction=0)])
