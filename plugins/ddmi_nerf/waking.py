"""A gradient for empty space, so that a field in training can find back from having nothing anywhere."""

from __future__ import annotations

from math import exp
from typing import Any

import torch
from torch import Tensor

from ddmi_nerf.radiance import STEEPEST, density

FLOOR = 0.02  # slope of the density in its raw value that counts as the least
EMPTY = -10.0  # raw value below which nothing is pushed down any more but by its own slope


class _Waking(torch.autograd.Function):
    """The density, with a slope that does not vanish."""

    @staticmethod
    def forward(ctx: Any, raw: Tensor) -> Tensor:
        found = density(raw)
        ctx.save_for_backward(raw, found)
        return found

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (gradient,) = gradients
        raw, found = ctx.saved_tensors
        slope = found.clamp_max(exp(STEEPEST))
        return gradient * torch.where((gradient < 0) | (raw > EMPTY), slope.clamp_min(FLOOR), slope)


def waking_density(raw: Tensor) -> Tensor:
    """`density`, but with a gradient that does not vanish where there is next to nothing.

    Most of the cube is empty, so the first steps of a training push densities down everywhere; the exponential's slope,
    which is the density itself, then lets none of them rise again, and the field stays empty for good. So the slope
    counts as 0.02 at least, but for raw values below -10 that are pushed down further. Above 0.02 it is the true one.
    It is for training alone: a fit that relies on exact gradients wants `density`.
    """
    found: Tensor = _Waking.apply(raw)  # type: ignore[no-untyped-call]
    return found
