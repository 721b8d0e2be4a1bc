"""Activation of raw field values into density and colour, and the interface of all media that can be rendered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import exp, isqrt, log
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from ddmi_core.api import Field
from ddmi_core.parts import lattice_points
from ddmi_nerf.rendering.spherical_harmonics import spherical_harmonics

SHIFT = -2.0
STEEPEST = log(200.0)
WIDENED = 1.002
CHUNK = 65536  # points evaluated at once
FLOOR = 0.02  # least slope of the density in its raw value
EMPTY = -10.0  # raw value below which decreasing steps use the exact slope


class Radiance(Protocol):
    """A medium in the cube [-1, 1]^3 with density and colour: a field, or a procedural scene."""

    def __call__(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Density `(N,)`, not negative, per unit of length, and colour `(N, 3)` in [-1, 1], at points `(N, 3)`."""


@runtime_checkable
class DirectedRadiance(Radiance, Protocol):
    """A medium with view-dependent colour; without directions, it returns the mean colour."""

    def seen(self, points: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
        """Density `(N,)` and colour `(N, 3)` at points `(N, 3)`, along unit directions `(N, 3)` of rays."""


def density(raw: Tensor) -> Tensor:
    """Density activation: exponential, with linear continuation above 200.

    Surfaces need densities of about 100 and free space densities near 0.01. With an exponential, these differ by a few
    units of the raw value, which matches the readout's initial range; with softplus, the raw value would have to reach
    100. A shift makes raw zero nearly transparent (0.14), so that initially gradients reach all samples of a ray. The
    linear continuation keeps values and gradients finite. The function is continuously differentiable.
    """
    shifted = raw + SHIFT
    bent = torch.exp(shifted.clamp_max(STEEPEST))
    return bent * (1 + (shifted - STEEPEST).clamp_min(0))


def raw_density(wanted: Tensor) -> Tensor:
    """Inverse of `density` for densities up to 200; densities below 1e-6 count as 1e-6."""
    return wanted.clamp_min(1e-6).log() - SHIFT


def colour(raw: Tensor) -> Tensor:
    """Colour activation: a slightly widened sigmoid to [-1, 1].

    The sigmoid extends a little beyond the range, so that black and white, which are common, have finite raw values.
    Values out of range are clamped with a straight-through gradient.
    """
    wide = WIDENED * torch.tanh(raw / 2)
    return wide + (wide.clamp(-1, 1) - wide).detach()


def activated(
    values: Tensor, directions: Tensor | None = None, dense: Callable[[Tensor], Tensor] = density
) -> tuple[Tensor, Tensor]:
    """Density `(...)` and colour `(..., 3)` from raw field values; differentiable.

    Args:
        values: `(..., 1 + 3 K)`: raw density, then red, green and blue of the coefficients of K spherical harmonics; K
            = 1 makes colour independent of the direction.
        directions: `(..., 3)`, unit directions of rays; without them, only the first harmonic is used.
        dense: density activation.
    """
    count = (values.shape[-1] - 1) // 3
    raw = values[..., 1:4]
    if count > 1 and directions is not None:
        shares = spherical_harmonics(directions, isqrt(count) - 1)
        raw = (values[..., 1:].reshape(*values.shape[:-1], count, 3) * shares[..., None]).sum(dim=-2)
    return dense(values[..., 0]), colour(raw)


class FieldRadiance:
    """One field (B = 1) as a medium, evaluated by its fast paths without gradients."""

    def __init__(self, field: Field) -> None:
        self.field = field
        self._points = field.points()

    def __call__(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Density `(N,)` and colour `(N, 3)` at points `(N, 3)`."""
        return activated(self._points.at(points))

    def seen(self, points: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
        """Density `(N,)` and colour `(N, 3)` at points `(N, 3)`, along unit directions `(N, 3)`."""
        return activated(self._points.at(points), directions)


def densities(radiance: Radiance, axes: Sequence[Tensor]) -> Tensor:
    """Densities on a lattice, `(z, y, x)`, without gradients; fields use their faster lattice evaluation.

    Args:
        radiance: a medium.
        axes: coordinates along x, y and z.
    """
    if isinstance(radiance, FieldRadiance):
        return torch.cat([density(slab[..., 0]) for _, slab in radiance.field.lattice(axes).slabs()])
    plane = len(axes[0]) * len(axes[1])
    slabs = []
    with torch.no_grad():
        for part in torch.split(axes[2], max(1, CHUNK // plane)):
            points = torch.split(lattice_points([*axes[:2], part]), CHUNK)
            slabs.append(torch.cat([radiance(some)[0] for some in points]))
    return torch.cat(slabs).view(*(len(axis) for axis in reversed(axes)))


class _GradientFloor(torch.autograd.Function):
    """Autograd function of `density_with_gradient_floor`."""

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


def density_with_gradient_floor(raw: Tensor) -> Tensor:
    """Density activation with a gradient floor, to prevent collapse to empty space (cf. `trunc_exp` of instant-ngp).

    Most of the cube is empty, so the first training steps lower the density everywhere. The slope of the exponential is
    the density itself, so it vanishes in empty space, and the field could never recover. Therefore the slope is at
    least 0.02, except for raw values below -10 that are pushed down further. Slopes above 0.02 are exact. Use it in
    training only; a fit that relies on exact gradients needs `density`.
    """
    found: Tensor = _GradientFloor.apply(raw)  # type: ignore[no-untyped-call]
    return found
