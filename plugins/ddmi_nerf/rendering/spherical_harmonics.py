"""Real spherical harmonics, the basis of view-dependent colour."""

from __future__ import annotations

import math

import torch
from torch import Tensor

LARGEST = 3  # degree


def spherical_harmonics(directions: Tensor, degree: int) -> Tensor:
    """Real spherical harmonics up to a degree, scaled to a mean square of one over the sphere.

    These are those of Sloan, "Stupid spherical harmonics tricks" (2008), appendix A2, times the square root of 4 pi, up
    to signs; the first is 1. As in PlenOctrees (arXiv 2103.14024, section 4.1), a colour is a sum of these with
    coefficients that depend on position only.

    Args:
        directions: `(..., 3)`, unit vectors.
        degree: from 0 to 3.

    Returns:
        `(..., (degree + 1)^2)`

    Raises:
        ValueError: if the degree is out of range.

    Example:
        >>> spherical_harmonics(torch.tensor([0.0, 0.0, 1.0]), 1).tolist()
        [1.0, 0.0, 1.7320507764816284, 0.0]
    """
    if not 0 <= degree <= LARGEST:
        raise ValueError(f"degree {degree} is out of range: degrees are 0 to {LARGEST}")
    x, y, z = directions.unbind(dim=-1)
    xx, yy, zz = x * x, y * y, z * z
    found = [torch.ones_like(x)]
    if degree >= 1:
        found += [math.sqrt(3) * part for part in (y, z, x)]
    if degree >= 2:
        root = math.sqrt(15)
        found += [root * x * y, root * y * z, math.sqrt(5) / 2 * (3 * zz - 1), root * x * z, root / 2 * (xx - yy)]
    if degree >= 3:
        side, tilted, even = math.sqrt(35 / 8), math.sqrt(21 / 8), math.sqrt(105)
        found += [side * y * (3 * xx - yy), even * x * y * z, tilted * y * (5 * zz - 1)]
        found += [math.sqrt(7) / 2 * z * (5 * zz - 3), tilted * x * (5 * zz - 1)]
        found += [even / 2 * z * (xx - yy), side * x * (xx - 3 * yy)]
    return torch.stack(found, dim=-1)


def value_names(degree: int) -> tuple[str, ...]:
    """Names of a field's values: density, then red, green and blue of each spherical harmonic up to a degree."""
    colours = ("red", "green", "blue")
    more = [f"{colour}_{number}" for number in range(1, (degree + 1) ** 2) for colour in colours]
    return ("density", *colours, *more)
