"""Ready embeddings of a layout: maps from angles to a circle or a sphere, where no seam and no pole is left."""

from __future__ import annotations

import math

import torch
from torch import Tensor

BEYOND = 1 / 4  # latitude beyond the equator that a map of a hemisphere reaches, as a share of 90 degrees


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


def hemispheres(coords: Tensor) -> Tensor:
    """Two maps of the sphere, `(u, v)` around the north pole and `(u, v)` around the south pole.

    Each map is azimuthal equidistant: the distance from its centre is proportional to that from the pole. It reaches
    22.5 degrees beyond the equator; points farther away lie on its rim. Use it with `hemisphere_weights`, which give
    the two planes the weights of their hemispheres: then there is neither seam nor pole, and, unlike on the planes of
    `sphere`, no two places coincide.

    Args:
        coords: `(..., 2 + M)`, as for `sphere`.

    Returns:
        `(..., 4 + M)`

    Example:
        >>> hemispheres(torch.tensor([0.0, 1.0])).round(decimals=4).abs().tolist()
        [0.0, 0.0, 1.0, 0.0]
    """
    longitude, latitude = coords[..., :1] * math.pi, coords[..., 1:2]
    parts = []
    for pole in (1.0, -1.0):
        radius = ((1 - pole * latitude) / (1 + BEYOND)).clamp(max=1)
        parts += [radius * longitude.cos(), radius * longitude.sin()]
    return torch.cat([*parts, coords[..., 2:]], dim=-1)


def hemisphere_weights(coords: Tensor) -> Tensor:
    """Weights of the two planes of `hemispheres`, which change smoothly over 22.5 degrees on both sides of the equator.

    Args:
        coords: `(..., 2 + M)`, as for `sphere`.

    Returns:
        `(..., 2)`

    Example:
        >>> hemisphere_weights(torch.tensor([[0.0, 0.0], [0.0, 0.5], [0.0, -0.5]])).tolist()
        [[0.5, 0.5], [1.0, 0.0], [0.0, 1.0]]
    """
    share = ((coords[..., 1:2] / BEYOND + 1) / 2).clamp(0, 1)
    north = share.square() * (3 - 2 * share)
    return torch.cat([north, 1 - north], dim=-1)
