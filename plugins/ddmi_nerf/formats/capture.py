"""What a file of cameras says of an object: its views, and where in the file's world it is."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from attrs import field, frozen

from ddmi_core.errors import DataError
from ddmi_nerf.cameras import Camera

SizeOf = Callable[[str], tuple[int, int]]  # width and height of a picture, by its name


def _origin() -> npt.NDArray[np.float64]:
    return np.zeros(3)


@frozen(eq=False)
class Shot:
    """One view."""

    camera: Camera
    picture: str  # path of its picture, from the folder of the file


@frozen(eq=False)
class Capture:
    """Views of one object."""

    shots: tuple[Shot, ...]
    extent: float  # half the side of the cube that the object is in, in the file's units
    centre: npt.NDArray[np.float64] = field(factory=_origin)  # (3,), of this cube
    points: str = ""  # path of a point cloud that the file names


def check_alike(name: str, shots: tuple[Shot, ...]) -> None:
    """Check that all views of an object have one size, and look through their pictures.

    Args:
        name: of the file, for messages.
        shots: views.

    Raises:
        DataError: if sizes differ, or an optical axis does not pass through its picture.
    """
    first = shots[0]
    size = (first.camera.width, first.camera.height)
    for shot in shots:
        camera = shot.camera
        if (camera.width, camera.height) != size:
            raise DataError(
                f"{name}: pictures of different sizes: {first.picture} has {size[0]} x {size[1]} pixels, "
                f"{shot.picture} has {camera.width} x {camera.height}; give all the same size"
            )
        if not (0 <= camera.cx <= camera.width and 0 <= camera.cy <= camera.height):
            raise DataError(
                f"{name}: intrinsics of {shot.picture} do not fit its size: the principal point ({camera.cx:g}, "
                f"{camera.cy:g}) is outside {camera.width} x {camera.height} pixels; give cx, cy and focal lengths in "
                "pixels of this picture"
            )
