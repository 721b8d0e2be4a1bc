"""What a camera sees of a medium: the artefact of the domain, with the scene that it shows."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from attrs import frozen

from ddmi_nerf.cameras import Camera
from ddmi_nerf.scene import Scene

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]


@frozen(eq=False)
class Picture:
    """One view, pixel by pixel."""

    colour: Floats  # (H, W, 3), in [-1, 1], over the background
    opacity: Floats  # (H, W), in [0, 1]
    depth: Floats  # (H, W), mean distance along the ray from the camera; 0 where nothing is seen
    normals: Floats  # (H, W, 3), unit vectors in the world that point outwards; zeros where nothing is seen
    camera: Camera
    scene: Scene | None = None  # what is seen; none of pictures that were given

    @staticmethod
    def of(scene: Scene, camera: Camera) -> Picture:
        """The view of a scene."""
        seen = scene.view(camera)
        colour, opacity, depth, normals = (
            part.cpu().numpy() for part in (seen.colour, seen.opacity, seen.depth, seen.normals)
        )
        return Picture(colour, opacity, np.where(np.isfinite(depth), depth, 0), normals, camera, scene)

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.colour.shape[0], self.colour.shape[1]

    def pixels(self) -> Bytes:
        """Colours as bytes `(H, W, 3)`."""
        return as_bytes(self.colour)

    def normal_map(self) -> Bytes:
        """Normals as bytes `(H, W, 3)`: -1 to 1 is 0 to 255, in x, y, z; white where nothing is seen."""
        seen = np.abs(self.normals).sum(axis=2, keepdims=True) > 0
        return as_bytes(np.where(seen, self.normals, 1.0))


def as_bytes(colours: Floats) -> Bytes:
    """Colours in [-1, 1] as bytes."""
    found: Bytes = np.clip(colours * 127.5 + 128.0, 0, 255).astype(np.uint8)
    return found
