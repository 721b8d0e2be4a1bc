"""Cameras as scene representation networks have them: `intrinsics.txt`, and a file a pose in `pose/`."""

from __future__ import annotations

import numpy as np

from ddmi_core.errors import DataError
from ddmi_nerf.cameras import Camera
from ddmi_nerf.conventions import Matrix, rigid
from ddmi_nerf.formats.capture import SizeOf

INTRINSICS = "intrinsics.txt"
EXTENT = 0.5  # half the side of the cube of ShapeNet's objects
_FORM = (
    "it needs the lines 'f cx cy 0', 'x y z' of the object's middle, optionally the near plane, the scale, 'height "
    "width', and optionally 1 for poses from the world to the camera"
)


def read_camera(intrinsics: str, pose: str, name: str, picture: str, size_of: SizeOf) -> Camera:
    """The camera of one view.

    Its intrinsics are for the size in their file; for pictures of another size of the same form they are adapted.

    Args:
        intrinsics: text of `intrinsics.txt`.
        pose: text of the file in `pose/`: 16 numbers, row by row, camera to world, axes x right, y down, z forwards.
        name: of the pose's file, for messages.
        picture: name of the view's picture.
        size_of: gives its size.

    Raises:
        DataError: if a text is none of these, or does not fit the picture.
    """
    (f, cx, cy), width, height, inverted = _intrinsics(intrinsics, name)
    wide, high = size_of(picture)
    if abs(wide * height - high * width) > max(width, height):
        raise DataError(
            f"{name}: intrinsics are for pictures of {width} x {height} pixels, {picture} has {wide} x {high}, another "
            f"form; mend the last line of {INTRINSICS}"
        )
    try:
        matrix = np.array([float(word) for word in pose.split()])
        if matrix.size != 16:
            raise ValueError(f"{matrix.size} numbers instead of 16")
        return Camera(_turned(matrix.reshape(4, 4), inverted), f, f, cx, cy, width, height).resized(wide, high)
    except ValueError as error:
        raise DataError(f"{name}: cannot be used: {error}") from error


def write_camera(camera: Camera) -> tuple[str, str]:
    """Texts of `intrinsics.txt` and of the file of the pose, with which `read_camera` gives the camera again.

    Raises:
        ValueError: if focal lengths differ along rows and columns, which the format cannot say.
    """
    if abs(camera.fx - camera.fy) > 1e-6 * camera.fx:
        raise ValueError(f"one focal length for both axes is needed; this camera has {camera.fx:g} and {camera.fy:g}")
    lines = [
        f"{camera.fx!r} {camera.cx!r} {camera.cy!r} 0.",
        "0. 0. 0.",
        "1.",
        f"{camera.height} {camera.width}",
    ]
    return "\n".join(lines) + "\n", " ".join(repr(float(value)) for value in camera.to_world.ravel()) + "\n"


def _intrinsics(text: str, name: str) -> tuple[tuple[float, float, float], int, int, bool]:
    """f, cx and cy; width and height; whether poses go from the world to the camera."""
    lines = [line.split() for line in text.splitlines() if line.strip()]
    try:
        f, cx, cy = (float(word) for word in lines[0][:3])
        place = [len(words) for words in lines].index(2)
        height, width = (int(float(word)) for word in lines[place])
        inverted = bool(int(float(lines[place + 1][0]))) if place + 1 < len(lines) else False
    except (ValueError, IndexError) as error:
        raise DataError(f"{name}: {INTRINSICS} of its object cannot be used; {_FORM}") from error
    return (f, cx, cy), width, height, inverted


def _turned(pose: Matrix, inverted: bool) -> Matrix:
    if not inverted:
        return pose
    return rigid(np.linalg.inv(rigid(pose)))
