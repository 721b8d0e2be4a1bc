"""The signal of the occupancy domain: surface points with normals, and points in space with occupancies."""

from __future__ import annotations

from attrs import frozen
from torch import Tensor

from ddmi_core.api import ShortText


@frozen(eq=False, repr=False)
class ShapeSignal(ShortText):
    """A batch of solid shapes, normalised: the bounding box is centred, its longest side runs from -0.9 to 0.9."""

    surface: Tensor  # (B, M, 3), uniform samples of the surface, columns x, y, z; y is up
    normals: Tensor  # (B, M, 3), unit vectors that point outwards
    points: Tensor  # (B, Q, 3), in [-1, 1]
    inside: Tensor  # (B, Q), uint8: 1 inside, 0 outside
    weights: Tensor  # (B, Q), of mean 1: weighted means over the points are means over [-1, 1]^3
