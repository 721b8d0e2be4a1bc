"""Axes of cameras in files: OpenGL's (Blender, nerfstudio) and OpenCV's (ours), and what makes a pose valid."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float64]

FARTHEST = 1e12  # units of length; beyond, squares of distances lose all meaning
TOLERANCE = 1e-2  # by which axes of a pose in a file may be off, as files are rounded


def flipped(pose: Matrix) -> Matrix:
    """A pose with the camera's y and z axes turned: from OpenGL's axes to OpenCV's, and back.

    OpenGL and Blender: x to the right, y up, z backwards. OpenCV: x to the right, y down, z forwards.

    Args:
        pose: `(4, 4)`, camera to world.
    """
    result: Matrix = pose * np.array([1.0, -1.0, -1.0, 1.0])
    return result


def as_number(values: Mapping[str, Any], key: str) -> float:
    """A number among the values of a file.

    Raises:
        ValueError: if it is something else.
    """
    value = values[key]
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
    except OverflowError:  # an integer of hundreds of digits
        value = "too large"
    raise ValueError(f"{key} is {value!r}; give a number")


def matrix(values: Any) -> Matrix:
    """A matrix from a file, `(4, 4)`, whose last row may be left out.

    Raises:
        ValueError: if it has another shape, or something else than finite numbers of a sensible size in it.
    """
    try:
        pose = np.asarray(values)
    except ValueError:  # rows of different lengths
        pose = np.asarray(None)
    if pose.dtype.kind not in "iuf":
        raise ValueError("its pose is not a matrix of numbers; give 4 rows of 4")
    pose = pose.astype(np.float64)
    if pose.shape == (3, 4):
        pose = np.concatenate([pose, [[0.0, 0.0, 0.0, 1.0]]])
    if pose.shape != (4, 4):
        raise ValueError(f"its pose has the shape {pose.shape}; give 4 rows of 4")
    if not np.isfinite(pose).all():
        raise ValueError("its pose has values that are not finite; export the cameras again, or leave this view out")
    if (largest := np.abs(pose).max()) > FARTHEST:
        raise ValueError(f"its pose has a value of {largest:g}, which no camera has; export the cameras again")
    return pose


def rigid(values: Any) -> Matrix:
    """A matrix from a file as the pose of a camera: rotation and place, without the scale that it may hold.

    Args:
        values: `(4, 4)` or `(3, 4)`, camera to world.

    Raises:
        ValueError: if it is no such matrix: wrong shape, not finite, singular, skewed or mirrored.
    """
    pose = matrix(values)
    if not np.allclose(pose[3], [0, 0, 0, 1], atol=1e-6):
        raise ValueError(f"the last row of its pose is {pose[3].tolist()}, not 0 0 0 1; give camera-to-world matrices")
    axes = pose[:3, :3]
    lengths = np.linalg.norm(axes, axis=0)
    scale = float(lengths.mean())
    if scale < 1e-9 or lengths.min() < 1e-3 * lengths.max() or abs(np.linalg.det(axes / scale)) < 0.1:
        raise ValueError("its pose is singular: its axes do not span space; give camera-to-world matrices")
    if np.abs(axes.T @ axes / scale**2 - np.eye(3)).max() > TOLERANCE:
        raise ValueError("the axes of its pose are not at right angles and of equal length; remove scale and skew")
    if np.linalg.det(axes) < 0:
        raise ValueError("its pose is mirrored (left-handed); turn one of its axes")
    u, _, v = np.linalg.svd(axes)
    result = np.eye(4)
    result[:3, :3], result[:3, 3] = u @ v, pose[:3, 3]
    return result
