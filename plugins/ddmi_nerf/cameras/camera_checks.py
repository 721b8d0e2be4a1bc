"""Checks that an object and its cameras are where they should be: the object in the cube, the cameras outside."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ddmi_core.errors import DataError
from ddmi_nerf.cameras.camera import Camera, Shot
from ddmi_nerf.data.reading import Pixels

BEYOND = 0.02  # share of the opaque pixels of a view that may look past the cube
ASTRAY = 0.9  # share from which on it is the camera that is wrong rather than the cube
OPAQUE = 128


def check_places(
    name: str, views: Sequence[str], cameras: Sequence[Camera], pictures: Pixels, extent: float, opaque: bool
) -> None:
    """Check the views of one object.

    Args:
        name: of the object, for messages.
        views: names of its V pictures, for messages.
        cameras: theirs, in the cube's coordinates.
        pictures: `(V, H, W, 4)`.
        extent: half the side of the cube in the file's units.
        opaque: whether opacity says nothing, as it is 1 everywhere.

    Raises:
        DataError: if a camera stands in the cube, opaque pixels look past it, or nothing is opaque.
    """
    if not (pictures[..., 3] >= OPAQUE).any():
        raise DataError(
            f"{name}: nothing in its pictures is opaque, so there is no object; save it with an opacity above one "
            "half, or give --set domain.opacity=white for objects before white"
        )
    for view, camera, picture in zip(views, cameras, pictures, strict=True):
        if (np.abs(camera.origin) < 1).all():
            place = (camera.origin * extent).round(3).tolist()
            raise DataError(
                f"{name}: the camera of {view} stands inside the object's cube, at {place} from its middle, with half "
                f"a side of {extent:g}; give half the side that holds the object alone with --set domain.extent"
            )
        seen = picture[..., 3].ravel() >= OPAQUE
        if opaque or not seen.any():
            continue
        share = float((seen & ~_meets_cube(camera)).sum() / seen.sum())
        if share > ASTRAY:
            raise DataError(
                f"{name}: the camera of {view} does not look at the object's cube, of half side {extent:g}; give "
                "camera-to-world matrices with the axes of their format (transforms.json: y up, z backwards; SRN: y "
                "down, z forwards), of an object in the middle"
            )
        if share > BEYOND:
            raise DataError(
                f"{name}: the object is out of bounds: {share:.0%} of its pixels in {view} look past the cube "
                f"of half side {extent:g}; give a larger one with --set domain.extent"
            )


def _meets_cube(camera: Camera) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Whether rays of pixels `(H * W,)` meet the cube [-1, 1]^3."""
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse = 1 / camera.directions()
        one, other = (-1 - camera.origin) * inverse, (1 - camera.origin) * inverse
    enter = np.nanmax(np.minimum(one, other), axis=1)
    leave = np.nanmin(np.maximum(one, other), axis=1)
    result: np.ndarray[tuple[int], np.dtype[np.bool_]] = (enter <= leave) & (leave > 0)
    return result


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
