"""Axis conventions of cameras (OpenGL in Blender and nerfstudio, OpenCV here), and validation of poses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float64]

FARTHEST = 1e12  # units of length; larger values lose all precision when squared
TOLERANCE = 1e-2  # deviation from orthonormal axes, as files are rounded


def flipped(pose: Matrix) -> Matrix:
    """Convert a pose between OpenGL's and OpenCV's camera axes, by flipping y and z.

    OpenGL and Blender: x to the right, y up, z backwards. OpenCV: x to the right, y down, z forwards.

    Args:
        pose: `(4, 4)`, camera to world.
    """
    result: Matrix = pose * np.array([1.0, -1.0, -1.0, 1.0])
    return result


def as_number(values: Mapping[str, Any], key: str) -> float:
    """A number from the values of a file.

    Raises:
        ValueError: if the value is not a number.
    """
    value = values[key]
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
    except OverflowError:  # an integer of hundreds of digits
        value = "too large"
    raise ValueError(f"{key} is {value!r}; give a number")


def matrix(values: Any) -> Matrix:
    """A `(4, 4)` matrix from a file; the last row may be missing.

    Raises:
        ValueError: if it has another shape, or contains values that are not finite numbers below 1e12.
    """
    try:
        pose = np.asarray(values)
    except ValueError:  # rows of different lengths
        pose = np.asarray(None)
    if pose.dtype.kind not in "iuf":
        raise ValueError("the pose is not a matrix of numbers; give 4 rows of 4")
    pose = pose.astype(np.float64)
    if pose.shape == (3, 4):
        pose = np.concatenate([pose, [[0.0, 0.0, 0.0, 1.0]]])
    if pose.shape != (4, 4):
        raise ValueError(f"the pose has the shape {pose.shape}; give 4 rows of 4")
    if not np.isfinite(pose).all():
        raise ValueError("the pose has values that are not finite; export the cameras again, or remove this view")
    if (largest := np.abs(pose).max()) > FARTHEST:
        raise ValueError(
            f"the pose has a value of {largest:g}, above the limit of {FARTHEST:g}; export the cameras again"
        )
    return pose


def rigid(values: Any) -> Matrix:
    """A rigid camera pose from a matrix in a file; a uniform scale is removed.

    Args:
        values: `(4, 4)` or `(3, 4)`, camera to world.

    Raises:
        ValueError: if the matrix has the wrong shape, or is not finite, singular, skewed or mirrored.
    """
    pose = matrix(values)
    if not np.allclose(pose[3], [0, 0, 0, 1], atol=1e-6):
        raise ValueError(f"the last row of the pose is {pose[3].tolist()}, not 0 0 0 1; give camera-to-world matrices")
    axes = pose[:3, :3]
    lengths = np.linalg.norm(axes, axis=0)
    scale = float(lengths.mean())
    if scale < 1e-9 or lengths.min() < 1e-3 * lengths.max() or abs(np.linalg.det(axes / scale)) < 0.1:
        raise ValueError("the pose is singular: its axes do not span space; give camera-to-world matrices")
    if np.abs(axes.T @ axes / scale**2 - np.eye(3)).max() > TOLERANCE:
        raise ValueError("the axes of the pose are not orthogonal and of equal length; remove scale and skew")
    if np.linalg.det(axes) < 0:
        raise ValueError("the pose is mirrored (left-handed); flip one of its axes")
    u, _, v = np.linalg.svd(axes)
    result = np.eye(4)
    result[:3, :3], result[:3, 3] = u @ v, pose[:3, 3]
    return result
