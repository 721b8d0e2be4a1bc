"""Checks of an object's cameras: principal points, the object in its cube and the cameras outside."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ddmi_core.errors import DataError
from ddmi_nerf.cameras.camera import Camera, Shot

BEYOND = 0.02  # largest share of a view's opaque pixels whose rays miss the cube
ASTRAY = 0.9  # share above which the camera is wrong rather than the size of the cube
OPAQUE = 128


def check_places(
    name: str,
    views: Sequence[str],
    cameras: Sequence[Camera],
    pictures: npt.NDArray[np.uint8],
    extent: float,
    opaque: bool,
) -> None:
    """Check the cameras and images of one object.

    Args:
        name: of the object, for messages.
        views: names of its V images, for messages.
        cameras: V cameras, in the cube's coordinates.
        pictures: `(V, H, W, 4)`, colour and opacity.
        extent: half the side of the cube, in the file's units.
        opaque: whether all pixels count as opaque, so that opacity does not show where the object is.

    Raises:
        DataError: if a camera is inside the cube, opaque pixels lie outside the cube, or no pixel is opaque.
    """
    if not (pictures[..., 3] >= OPAQUE).any():
        raise DataError(
            f"{name}: no pixel of its images is opaque; save images with an opacity above 0.5, or give "
            "--set domain.opacity=white for objects on a white background"
        )
    for view, camera, picture in zip(views, cameras, pictures, strict=True):
        if (np.abs(camera.origin) < 1).all():
            place = (camera.origin * extent).round(3).tolist()
            raise DataError(
                f"{name}: the camera of {view} is inside the object's cube, at {place} from its centre; the half side "
                f"is {extent:g}. Give a half side that contains only the object with --set domain.extent"
            )
        seen = picture[..., 3].ravel() >= OPAQUE
        if opaque or not seen.any():
            continue
        share = float((seen & ~_meets_cube(camera)).sum() / seen.sum())
        if share > ASTRAY:
            raise DataError(
                f"{name}: the camera of {view} does not look at the object's cube, of half side {extent:g}; give "
                "camera-to-world matrices in the axes of their format (transforms.json: y up, z backwards; SRN: y "
                "down, z forwards), with the object at the centre; or, for cameras from photographs, whose world is "
                "arbitrary, --set domain.place=cameras"
            )
        if share > BEYOND:
            raise DataError(
                f"{name}: the object extends beyond its cube: {share:.0%} of its pixels in {view} miss the cube "
                f"of half side {extent:g}; give a larger one with --set domain.extent"
            )


def _meets_cube(camera: Camera) -> npt.NDArray[np.bool_]:
    """Whether the pixels' rays meet the cube [-1, 1]^3, `(H * W,)`."""
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse = 1 / camera.directions()
        one, other = (-1 - camera.origin) * inverse, (1 - camera.origin) * inverse
    enter = np.nanmax(np.minimum(one, other), axis=1)
    leave = np.nanmin(np.maximum(one, other), axis=1)
    result: npt.NDArray[np.bool_] = (enter <= leave) & (leave > 0)
    return result


def check_centres(name: str, shots: tuple[Shot, ...]) -> None:
    """Check that each principal point lies inside its image.

    Args:
        name: of the file, for messages.
        shots: views.

    Raises:
        DataError: if one is outside.
    """
    for shot in shots:
        camera = shot.camera
        if not (0 <= camera.cx <= camera.width and 0 <= camera.cy <= camera.height):
            raise DataError(
                f"{name}: intrinsics of {shot.picture} do not match its size: the principal point ({camera.cx:g}, "
                f"{camera.cy:g}) is outside {camera.width} x {camera.height} pixels; give cx, cy and focal lengths in "
                "pixels of this image, or the size that they are for as w and h"
            )
