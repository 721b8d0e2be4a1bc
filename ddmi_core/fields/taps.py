"""Linear interpolation along one axis as two taps a coordinate."""

from __future__ import annotations

from attrs import frozen
from torch import Tensor


@frozen(eq=False)
class Taps:
    """Cells on both sides of coordinates, and the share of the upper one."""

    low: Tensor  # (n,), integers
    high: Tensor  # (n,), integers
    weight: Tensor  # (n,), in [0, 1]


def axis_taps(coords: Tensor, size: int) -> Taps:
    """Taps of coordinates `(n,)` in [-1, 1] on an axis with `size` cells, constant beyond the outer ones."""
    position = ((coords.double() + 1) * (size / 2) - 0.5).clamp(0, size - 1)
    low = position.floor().long()
    return Taps(low, (low + 1).clamp(max=size - 1), (position - low).to(coords.dtype))
