"""Axes of cameras in files: OpenGL's (Blender, nerfstudio) and OpenCV's (ours), and what makes a pose valid."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float64]

TOLERANCE = 1e-2  # by which axes of a pose in a file may be off, as files are rounded


def flipped(pose: Matrix) -> Matrix:
    """A pose with the camera's y and z axes turned: from OpenGL's axes to OpenCV's, and back.

    OpenGL and Blender: x to the right, y up, z backwards. OpenCV: x to the right, y down, z forwards.

    Args:
        pose: `(4, 4)`, camera to world.
    """
    result: Matrix = pose * np.array([1.0, -1.0, -1.0, 1.0])
    return result


def rigid(values: Any) -> Matrix:
    """A matrix from a file as the pose of a camera: rotation and place, without the scale that it may hold.

    Args:
        values: `(4, 4)` or `(3, 4)`, camera to world.

    Raises:
        ValueError: if it is no such matrix: wrong shape, not finite, singular, skewed or mirrored.
    """
    try:
        pose = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError("its pose is not a matrix of numbers; give 4 rows of 4") from None
    if pose.shape == (3, 4):
        pose = np.concatenate([pose, [[0.0, 0.0, 0.0, 1.0]]])
    if pose.shape != (4, 4):
        raise ValueError(f"its pose has the shape {pose.shape}; give 4 rows of 4")
    if not np.isfinite(pose).all():
        raise ValueError("its pose has values that are not finite; export the cameras again, or leave this view out")
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
