"""The signal of the radiance-field domain: pictures of objects, the cameras that saw them, and coloured points."""

from __future__ import annotations

from attrs import frozen
from torch import Tensor


@frozen(eq=False)
class ViewSignal:
    """A batch of objects in the cube [-1, 1]^3: x to the right, y away, z up."""

    images: Tensor  # (B, K, 3, H, W), in [-1, 1], over the background
    opacity: Tensor  # (B, K, 1, H, W), in [0, 1]
    to_world: Tensor  # (B, K, 4, 4), from the camera (x right, y down, z forward) to the cube
    intrinsics: Tensor  # (B, K, 4), fx, fy, cx, cy in pixels
    points: Tensor  # (B, P, 3), on the surface, in [-1, 1]
    point_colours: Tensor  # (B, P, 3), in [-1, 1]
    background: Tensor  # (B, 3), in [-1, 1]
