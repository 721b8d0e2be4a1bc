"""The signal of the radiance-field domain: images of objects with their cameras, and coloured surface points."""

from __future__ import annotations

from attrs import frozen
from torch import Tensor

from ddmi_core.api import ShortText
from ddmi_nerf.cameras.camera import Camera


@frozen(eq=False, repr=False)
class ViewSignal(ShortText):
    """A batch of B objects in the cube [-1, 1]^3 (x to the right, y away, z up), each with K views and P points."""

    images: Tensor  # (B, K, 3, H, W), in [-1, 1], composited over the background
    opacity: Tensor  # (B, K, 1, H, W), in [0, 1]
    to_world: Tensor  # (B, K, 4, 4), from camera axes (x right, y down, z forward) to the cube
    intrinsics: Tensor  # (B, K, 4), fx, fy, cx, cy in pixels
    points: Tensor  # (B, P, 3), on the surface, in [-1, 1]
    point_colours: Tensor  # (B, P, 3), in [-1, 1]
    background: Tensor  # (B, 3), in [-1, 1]

    def camera(self, index: int, view: int) -> Camera:
        """The camera of one view of one object.

        Args:
            index: number of the object, below B.
            view: number of the view, below K.
        """
        height, width = self.images.shape[-2:]
        pose = self.to_world[index, view].double().cpu().numpy()
        fx, fy, cx, cy = self.intrinsics[index, view].tolist()
        return Camera(pose, fx, fy, cx, cy, width, height)
