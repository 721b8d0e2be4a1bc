"""Ready embeddings of a layout: maps from angles to a circle or a sphere, where no seam and no pole is left."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def circle(coords: Tensor) -> Tensor:
    """The unit circle `(cos, sin)` instead of an angle.

    Args:
        coords: `(..., 1 + M)`: the angle, from -180 to 180 degrees as [-1, 1], and columns that stay as they are.

    Returns:
        `(..., 2 + M)`

    Example:
        >>> circle(torch.tensor([[0.0, 0.3]])).tolist() == torch.tensor([[1.0, 0.0, 0.3]]).tolist()
        True
    """
    angle = coords[..., :1] * math.pi
    return torch.cat([angle.cos(), angle.sin(), coords[..., 1:]], dim=-1)


def sphere(coords: Tensor) -> Tensor:
    """The unit sphere `(x, y, z)` instead of longitude and latitude; z points to the north pole.

    Args:
        coords: `(..., 2 + M)`: the longitude, from -180 to 180 degrees as [-1, 1], the latitude, from -90 to 90
            degrees as [-1, 1], and columns that stay as they are, such as a time.

    Returns:
        `(..., 3 + M)`

    Example:
        >>> sphere(torch.tensor([[0.0, 0.0], [0.7, 1.0]])).round(decimals=4).abs().tolist()
        [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    """
    longitude, latitude = coords[..., :1] * math.pi, coords[..., 1:2] * (math.pi / 2)
    ring = latitude.cos()
    parts = [ring * longitude.cos(), ring * longitude.sin(), latitude.sin(), coords[..., 2:]]
    return torch.cat(parts, dim=-1)
