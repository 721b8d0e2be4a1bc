"""From raw values to density and colour, and what all that can be rendered has in common."""

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
CHUNK = 65536  # points of a function that are evaluated at once
FLOOR = 0.02  # slope of the density in its raw value that counts as the least
EMPTY = -10.0  # raw value below which nothing is pushed down any more but by its own slope


class Radiance(Protocol):
    """A medium in the cube [-1, 1]^3 that absorbs and shines: a field, or a scene given by formulas."""

    def __call__(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Density `(N,)`, not negative, a unit of length, and colour `(N, 3)` in [-1, 1], at points `(N, 3)`."""


@runtime_checkable
class DirectedRadiance(Radiance, Protocol):
    """A medium whose colours depend on where they are seen from; called without directions, it gives their mean."""

    def seen(self, points: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
        """Density `(N,)` and colour `(N, 3)` at points `(N, 3)`, along unit directions `(N, 3)` of rays."""


def density(raw: Tensor) -> Tensor:
    """Density of raw values: their exponential, which goes on as a straight line from 200 on.

    A surface needs densities of about 100 and free space ones near to 0.01; as an exponential, these are few units
    apart, as the readout's values are at first, whereas with softplus the readout has to reach 100 itself. It is
    shifted so that a raw zero is thin, 0.14: at first, all of a ray is seen, and gradients reach all of it. The
    straight line keeps values and gradients finite for any raw value. It is differentiable everywhere.
    """
    shifted = raw + SHIFT
    bent = torch.exp(shifted.clamp_max(STEEPEST))
    return bent * (1 + (shifted - STEEPEST).clamp_min(0))


def raw_density(wanted: Tensor) -> Tensor:
    """The raw value that gives a density up to 200: the inverse of `density`; zero counts as 1e-6."""
    return wanted.clamp_min(1e-6).log() - SHIFT


def colour(raw: Tensor) -> Tensor:
    """Colours in [-1, 1] of raw values: a sigmoid on all that can be shown, as colours have two ends.

    It is slightly wider, so that black and white, which are common, need no endless raw values; what is beyond is cut,
    with a gradient as if it were not.
    """
    wide = WIDENED * torch.tanh(raw / 2)
    return wide + (wide.clamp(-1, 1) - wide).detach()


def activated(
    values: Tensor, directions: Tensor | None = None, dense: Callable[[Tensor], Tensor] = density
) -> tuple[Tensor, Tensor]:
    """Density `(...)` and colour `(..., 3)` of a field's values; differentiable.

    Args:
        values: `(..., 1 + 3 K)`: the raw density, and red, green and blue of the coefficients of K spherical
            harmonics; with one, colours are the same in all directions.
        directions: `(..., 3)` of rays, of length one; without them, colours are those of the first harmonic.
        dense: gives the density of raw values.
    """
    count = (values.shape[-1] - 1) // 3
    raw = values[..., 1:4]
    if count > 1 and directions is not None:
        shares = spherical_harmonics(directions, isqrt(count) - 1)
        raw = (values[..., 1:].reshape(*values.shape[:-1], count, 3) * shares[..., None]).sum(dim=-2)
    return dense(values[..., 0]), colour(raw)


class FieldRadiance:
    """One field (B = 1) as a medium, by its fast paths, without gradients."""

    def __init__(self, field: Field) -> None:
        self.field = field
        self._points = field.points()

    def __call__(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Density `(N,)` and colour `(N, 3)` at points `(N, 3)`."""
        return activated(self._points.at(points))

    def seen(self, points: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
        """Density `(N,)` and colour `(N, 3)` at points `(N, 3)`, along directions `(N, 3)`."""
        return activated(self._points.at(points), directions)


def densities(radiance: Radiance, axes: Sequence[Tensor]) -> Tensor:
    """Densities on a lattice, `(z, y, x)`, without gradients; of a field by its lattice, which is faster.

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


def density_with_gradient_floor(raw: Tensor) -> Tensor:
    """`density`, but with a gradient that does not vanish where there is next to nothing.

    Most of the cube is empty, so the first steps of a training push densities down everywhere; the exponential's slope,
    which is the density itself, then lets none of them rise again, and the field stays empty for good. So the slope
    counts as 0.02 at least, but for raw values below -10 that are pushed down further. Above 0.02 it is the true one.
    It is for training alone: a fit that relies on exact gradients wants `density`.
    """
    found: Tensor = _GradientFloor.apply(raw)  # type: ignore[no-untyped-call]
    return found
