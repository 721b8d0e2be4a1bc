"""The axes, place and scale of a camera file's world."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from attrs import evolve

from ddmi_nerf.cameras.camera import Camera, Floats
from ddmi_nerf.cameras.conventions import Matrix

DISTANCE = 3.0  # mean distance of the cameras from the object that they place
Y_UP = np.array([[1.0, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0], [0, 0, 0, 1]])  # turns y to z
_TELLS = 0.5  # least length of the mean upper side of cameras, for a guess of the axis that points up
_AXES = ("+x", "+y", "+z", "-x", "-y", "-z")


def by_cameras(cameras: Sequence[Camera]) -> Matrix:
    """A similarity `(4, 4)` from an arbitrary world, as that of structure from motion, to an upright one.

    The point that the cameras look at becomes the origin, the mean of their upper sides points up (z), the first camera
    is in front (at -y), and their mean distance is 3.

    Raises:
        ValueError: if the cameras do not determine it: they look in one direction, or straight down.
    """
    places = np.stack([camera.origin for camera in cameras])
    looks = np.stack([camera.to_world[:3, 2] for camera in cameras])
    away = np.eye(3) - looks[:, :, None] * looks[:, None]  # projects onto the plane orthogonal to an optical axis
    across = away.sum(axis=0)
    if np.linalg.eigvalsh(across)[0] < 1e-6 * len(cameras):
        raise ValueError("the cameras all look in one direction, which determines no point that they look at")
    middle = np.linalg.solve(across, (away @ places[:, :, None]).sum(axis=0))[:, 0]
    up = _unit(mean_up(cameras))
    right = np.cross(up, places[0] - middle)
    if np.linalg.norm(right) < 1e-6 * np.linalg.norm(places[0] - middle) or not np.isfinite(up).all():
        raise ValueError("the upper sides of the cameras determine no upright world")
    right = _unit(right)
    scale = DISTANCE / np.linalg.norm(places - middle, axis=1).mean()
    result = np.eye(4)
    result[:3, :3] = scale * np.stack([right, np.cross(up, right), up])
    result[:3, 3] = -result[:3, :3] @ middle
    return result


def mean_up(cameras: Sequence[Camera]) -> Floats:
    """The mean direction `(3,)` of the cameras' upper sides."""
    result: Floats = -np.stack([camera.to_world[:3, 1] for camera in cameras]).mean(axis=0)
    return result


def upper_axis(cameras: Sequence[Camera]) -> str:
    """The axis to which the cameras' upper sides point clearly: `+y`; empty if they tell none."""
    mean = mean_up(cameras)
    signed = np.concatenate([mean, -mean])
    first, second = np.sort(np.abs(mean))[:-3:-1]
    return _AXES[int(signed.argmax())] if first > _TELLS and first > 2 * second else ""


def moved(camera: Camera, world: Matrix) -> Camera:
    """A camera in the world to which a similarity `(4, 4)` leads."""
    pose = world @ camera.to_world  # a pose without its scale is what `Camera` keeps
    return evolve(camera, to_world=pose)


def moved_point(point: Floats, world: Matrix) -> Floats:
    """Points `(..., 3)` in the world to which a similarity leads."""
    result: Floats = point @ world[:3, :3].T + world[:3, 3]
    return result


def _unit(vector: Floats) -> Floats:
    with np.errstate(invalid="ignore"):
        result: Floats = vector / np.linalg.norm(vector)
    return result
