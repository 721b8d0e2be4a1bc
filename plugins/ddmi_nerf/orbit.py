"""Views of a scene from a camera that goes around it, frame by frame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from attrs import evolve

from ddmi_nerf.cameras import Camera
from ddmi_nerf.picture import Bytes, as_bytes
from ddmi_nerf.scene import Scene

FRAMES = 48  # of one turn
RATE = 16.0  # frames a second


def turned(camera: Camera, degrees: float) -> Camera:
    """The camera after a turn about the z axis, anticlockwise as seen from above, with the same view of the middle."""
    angle = np.radians(degrees)
    pose = np.eye(4)
    pose[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return evolve(camera, to_world=pose @ camera.to_world)


def orbit(camera: Camera, count: int = FRAMES) -> list[Camera]:
    """Cameras of one turn in equal steps, which begins with the one given."""
    return [turned(camera, 360 * number / count) for number in range(count)]


def frames(scene: Scene, cameras: Sequence[Camera]) -> Iterator[Bytes]:
    """Yield what cameras see, `(rows, columns, 3)` as bytes, each when it is asked for."""
    for camera in cameras:
        yield as_bytes(scene.view(camera).colour.cpu().numpy())
