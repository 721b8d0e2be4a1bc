"""Pointwise reconstruction losses, and a multi-scale gradient loss as perceptual term without weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ddmi_core.autoencoder.config import PerceptualConfig


def l1_loss(values: Tensor, targets: Tensor) -> Tensor:
    """Mean absolute error over channels: `(B, N, V)` and `(B, N, V)` to `(B, N)`."""
    return (values - targets).abs().mean(dim=-1)


def l2_loss(values: Tensor, targets: Tensor) -> Tensor:
    """Mean squared error over channels: `(B, N, V)` and `(B, N, V)` to `(B, N)`."""
    return (values - targets).square().mean(dim=-1)


def bernoulli_loss(values: Tensor, targets: Tensor) -> Tensor:
    """Negative log-likelihood of targets in [0, 1] under logits: `(B, N, V)` to `(B, N)`."""
    return F.binary_cross_entropy_with_logits(values, targets, reduction="none").mean(dim=-1)


def weighted_mean(errors: Tensor, weights: Tensor) -> Tensor:
    """Mean of errors `(B, N)` with weights that broadcast to them, as a scalar; 0 if all weights are 0."""
    weights = weights.float()
    return (errors * weights).mean() / weights.mean().clamp(min=1e-12)


def as_patch(points: Tensor, patch: tuple[int, ...]) -> Tensor:
    """Points `(B, N, V)` of a regular patch as a grid `(B, V, *patch)`."""
    batch, _, values = points.shape
    return points.transpose(1, 2).reshape(batch, values, *patch)


def pool(grid: Tensor) -> Tensor:
    """Mean over blocks of two cells along every axis (axes of size one stay): `(B, V, *grid)`."""
    sizes = [2 if size > 1 else 1 for size in grid.shape[2:]]
    if len(sizes) > 3:
        for axis, size in enumerate(sizes, start=2):
            before, length, after = grid.shape[:axis], grid.shape[axis] // size, grid.shape[axis + 1 :]
            grid = grid.narrow(axis, 0, length * size).reshape(*before, length, size, *after).mean(dim=axis + 1)
        return grid
    function = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}[len(sizes)]
    pooled: Tensor = function(grid, sizes)
    return pooled


class MultiScaleTerm(nn.Module):
    """Gradient difference loss at several scales of an average-pooling pyramid.

    At every scale, it compares the finite differences of prediction and target along each axis in the L1 norm. A
    blurred or shifted edge then contributes at all scales, while a pointwise loss sees it at one scale only.

    A patch on a periodic axis starts anywhere on it (`GridSampler`), so that all differences, including those across
    the border, are compared equally often, also by patches that span the whole axis.

    Args:
        options: unused; every perceptual term takes them.
        scales: levels of the pyramid.
    """

    def __init__(self, options: PerceptualConfig | None = None, scales: int = 3) -> None:
        super().__init__()
        self.scales = scales

    def forward(self, values: Tensor, targets: Tensor) -> Tensor:
        """Scalar from predicted and target patches `(B, V, *patch)`; 0 for patches of one cell."""
        error = values - targets
        if max(error.shape[2:]) == 1:
            return error.new_zeros(())
        terms = []
        for scale in range(self.scales):
            if scale:
                error = pool(error)
            terms += [error.diff(dim=axis).abs().mean() for axis in range(2, error.ndim) if error.shape[axis] > 1]
            if max(error.shape[2:]) < 4:
                break
        return torch.stack(terms).mean()
