"""Camera files of SRN data sets (scene representation networks): `intrinsics.txt` and the text files in `pose/`."""

from __future__ import annotations

import numpy as np

from ddmi_core.errors import DataError
from ddmi_nerf.cameras.camera import Camera, Shot
from ddmi_nerf.cameras.conventions import Matrix, rigid
from ddmi_nerf.cameras.intrinsics import HeaderOf, Intrinsics, fitted

SRN_INTRINSICS = "intrinsics.txt"
SRN_EXTENT = 0.5  # half the side of the cube of ShapeNet's objects
_SRN_FORM = (
    "it needs the lines 'f cx cy 0', 'x y z' of the object's centre, optionally the near plane, the scale, 'height "
    "width', and optionally 1 if poses map from the world to the camera"
)


def read_srn(intrinsics: str, pose: str, name: str, picture: str, header_of: HeaderOf) -> Shot:
    """Read one view of an SRN data set.

    Args:
        intrinsics: text of `intrinsics.txt`.
        pose: text of the file in `pose/`: 16 numbers, row by row, camera to world, axes x right, y down, z forwards.
        name: of the pose's file, for messages.
        picture: name of the view's image.
        header_of: returns the header of an image.

    Raises:
        DataError: if a text is invalid, or does not match the image.
    """
    (f, cx, cy), width, height, inverted = _srn_intrinsics(intrinsics, name)
    try:
        values = np.array([float(word) for word in pose.split()])
        if values.size != 16:
            raise ValueError(f"it has {values.size} numbers instead of 16")
        to_world = _to_world(values.reshape(4, 4), inverted)
        camera = Intrinsics(lambda _w, _h: (f, f), (cx, cy), (width, height))
    except ValueError as error:
        raise DataError(f"{name}: invalid camera: {error}") from error
    return fitted(name, to_world, camera, picture, header_of)


def write_srn(camera: Camera) -> tuple[str, str]:
    """Write the texts of `intrinsics.txt` and of the pose's file, from which `read_srn` restores the camera.

    Raises:
        ValueError: if focal lengths along rows and columns differ, which the format cannot represent.
    """
    if abs(camera.fx - camera.fy) > 1e-6 * camera.fx:
        raise ValueError(f"SRN has one focal length for both axes; this camera has {camera.fx:g} and {camera.fy:g}")
    lines = [
        f"{camera.fx!r} {camera.cx!r} {camera.cy!r} 0.",
        "0. 0. 0.",
        "1.",
        f"{camera.height} {camera.width}",
    ]
    return "\n".join(lines) + "\n", " ".join(repr(float(value)) for value in camera.to_world.ravel()) + "\n"


def _srn_intrinsics(text: str, name: str) -> tuple[tuple[float, float, float], int, int, bool]:
    """f, cx and cy; width and height; whether poses map from the world to the camera."""
    lines = [line.split() for line in text.splitlines() if line.strip()]
    try:
        f, cx, cy = (float(word) for word in lines[0][:3])
        place = [len(words) for words in lines].index(2)
        height, width = (int(float(word)) for word in lines[place])
        inverted = bool(int(float(lines[place + 1][0]))) if place + 1 < len(lines) else False
    except (ValueError, IndexError, OverflowError) as error:  # OverflowError: a size of inf
        raise DataError(f"{name}: {SRN_INTRINSICS} of its object is invalid; {_SRN_FORM}") from error
    return (f, cx, cy), width, height, inverted


def _to_world(pose: Matrix, inverted: bool) -> Matrix:
    if not inverted:
        return pose
    return rigid(np.linalg.inv(rigid(pose)))
