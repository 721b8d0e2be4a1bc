"""Features of pictures that Fréchet distances of views are computed on: plain ones, or a network from a file."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ddmi_core.parts import Features, chosen_features
from ddmi_nerf.settings import PLAIN

WORKING = 32  # rows and columns at which the plain features look at pictures
CELLS = 4  # along each side
LUMA = (0.299, 0.587, 0.114)
EDGES = 4.0  # makes the spread of the features of edges about that of the colours, on the default cars
PIXELS = 299  # rows and columns that Inception networks are trained on


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
