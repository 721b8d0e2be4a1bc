"""Structural similarity (SSIM) of reconstructed pictures, and of the slices of clips and volumes."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ddmi_core.fields.field import Field
from ddmi_core.grids.renderer import GridRenderer
from ddmi_core.grids.sampler import OnGrids, native_grid

RANGE = 2.0  # pixels lie in [-1, 1]
WINDOW, SIGMA = 11, 1.5
K1, K2 = 0.01, 0.03


def ssim(fields: Field, signal: OnGrids, renderer: GridRenderer) -> Tensor:
    """Structural similarity per signal on grids of two or more axes, `(B,)`, at most 1.

    The mean over value channels and, for more than two axes, over all slices along the two fastest axes.
    """
    first, second = (_pictures(grid) for grid in (renderer.native_values(fields), native_grid(signal).cpu()))
    return structural_similarity(first, second).view(len(fields), -1).mean(dim=1)


def _pictures(grid: Tensor) -> Tensor:
    """Grids `(B, V, ..., H, W)` as pictures `(B * ..., V, H, W)`."""
    return grid.movedim(1, -3).flatten(0, -4)


def structural_similarity(first: Tensor, second: Tensor) -> Tensor:
    """Structural similarity (Wang et al. 2004, equation 13) with a Gaussian window of 11 x 11, sigma 1.5.

    Only windows entirely inside the picture count; for smaller pictures the window has the size of the picture.

    Args:
        first: `(B, C, H, W)`, in [-1, 1].
        second: the same shape.

    Returns:
        `(B,)`
    """
    channels = first.shape[1]

    def kernel(length: int) -> Tensor:
        window = min(WINDOW, length)
        offsets = torch.arange(window, dtype=torch.float64) - (window - 1) / 2
        weights = torch.exp(-offsets.square() / (2 * SIGMA**2))
        return weights / weights.sum()

    rows, columns = kernel(first.shape[2]), kernel(first.shape[3])

    def mean(values: Tensor) -> Tensor:
        values = F.conv2d(values, rows.view(1, 1, -1, 1).expand(channels, 1, -1, 1), groups=channels)
        return F.conv2d(values, columns.view(1, 1, 1, -1).expand(channels, 1, 1, -1), groups=channels)

    x, y = first.double(), second.double()
    mean_x, mean_y = mean(x), mean(y)
    variance_x, variance_y = mean(x * x) - mean_x**2, mean(y * y) - mean_y**2
    covariance = mean(x * y) - mean_x * mean_y
    c1, c2 = (K1 * RANGE) ** 2, (K2 * RANGE) ** 2
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    structure = (2 * covariance + c2) / (variance_x + variance_y + c2)
    return (luminance * structure).flatten(1).mean(dim=1).float()
