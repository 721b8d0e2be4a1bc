"""Coordinates of regular grids: cell centres, axes and lattice points."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def cell_centres(n: int, device: torch.device | str = "cpu") -> Tensor:
    """Centres `(2i + 1)/n - 1` of n cells in [-1, 1] (`align_corners=False`)."""
    return (2 * torch.arange(n, dtype=torch.float64, device=device) + 1).div(n).sub(1).float()


def cell_axes(size: Sequence[int], device: torch.device | str = "cpu") -> tuple[Tensor, ...]:
    """Cell centres along each axis of a regular grid: sizes slowest axis first, results in the layout's order.

    Example:
        >>> [len(axis) for axis in cell_axes((3, 5))]
        [5, 3]
    """
    return tuple(cell_centres(length, device) for length in reversed(size))


def window_axes(
    size: Sequence[int], bounds: Sequence[tuple[float, float]], device: torch.device | str = "cpu"
) -> tuple[Tensor, ...]:
    """Cell centres of a regular grid over an interval of each axis.

    Args:
        size: cells along each axis, slowest first.
        bounds: start of the first and end of the last cell, slowest axis first.
        device: of the coordinates.

    Example:
        >>> [axis.tolist() for axis in window_axes((2,), [(0.0, 1.0)])]
        [[0.25, 0.75]]
    """
    axes = zip(cell_axes(size, device), reversed(bounds), strict=True)
    return tuple((low + high) / 2 + (high - low) / 2 * axis for axis, (low, high) in axes)


def lattice_points(axes: Sequence[Tensor]) -> Tensor:
    """All points of a lattice, `(N, D)`; the first axis varies fastest.

    Args:
        axes: one 1-D tensor of coordinates per axis, in the layout's order.

    Example:
        >>> lattice_points((torch.tensor([0.0, 1.0]), torch.tensor([5.0]))).tolist()
        [[0.0, 5.0], [1.0, 5.0]]
    """
    columns = torch.meshgrid(*reversed(axes), indexing="ij")
    return torch.stack([column.flatten() for column in reversed(columns)], dim=-1)
