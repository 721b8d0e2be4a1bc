"""Intrinsics of a camera file, and their fit to the pixels of a picture: size, EXIF orientation and lens."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
from attrs import field, frozen, validators

from ddmi_core.errors import DataError
from ddmi_nerf.cameras.camera import Camera, Shot
from ddmi_nerf.cameras.conventions import Matrix
from ddmi_nerf.cameras.lens import UNDISTORT, Lens

_SMALLER = re.compile(r"(?:^|/)((?:images?|rgb)_(2|4|8|16))/", re.IGNORECASE)
QUARTER_TURNS = (5, 6, 7, 8)  # EXIF orientations that exchange width and height


@frozen
class Header:
    """The size of a picture as stored, and the orientation in its EXIF data.

    Args:
        width: pixels of a row.
        height: pixels of a column.
        orientation: 1, as stored, to 8.
    """

    width: int
    height: int
    orientation: int = 1

    @property
    def upright(self) -> tuple[int, int]:
        """Width and height after the turn that the orientation asks for."""
        turned = self.orientation in QUARTER_TURNS
        return (self.height, self.width) if turned else (self.width, self.height)


HeaderOf = Callable[[str], Header]  # of a picture, by its name in the camera file


def _positive(self: Intrinsics, attribute: object, value: tuple[float, float] | None) -> None:
    if value is not None and not all(np.isfinite(side) and side >= 1 for side in value):
        raise ValueError(f"w and h are {value[0]:g} x {value[1]:g}; give the size of the pictures in pixels")


@frozen
class Intrinsics:
    """Focal lengths and principal point of a pinhole camera, for pictures of some size.

    Args:
        focal: from the size of the pictures `(width, height)` to `(fx, fy)` in pixels.
        centre: `(cx, cy)`; an entry is `None` for the middle.
        size: width and height of the pictures that the numbers refer to; `None` for those of the picture itself.
        lens: the distortion; `None` without.
    """

    focal: Callable[[float, float], tuple[float, float]]
    centre: tuple[float | None, float | None] = (None, None)
    size: tuple[float, float] | None = field(default=None, validator=validators.optional(_positive))
    lens: Lens | None = None


def fitted(name: str, pose: Matrix, intrinsics: Intrinsics, picture: str, header_of: HeaderOf, mask: str = "") -> Shot:
    """The view of a picture: its camera for the pixels that the reader gives.

    Intrinsics for another size of the same aspect ratio are scaled. A picture with an EXIF orientation is turned if its
    size shows that the camera refers to the upright picture.

    Args:
        name: of the view in its file, for messages.
        pose: `(4, 4)`, camera to world, in OpenCV's axes.
        intrinsics: as the file gives them.
        picture: its name in the file.
        header_of: returns the header of a picture.
        mask: path of the picture's mask, if any.

    Raises:
        DataError: if the camera is invalid, or does not match the picture.
    """
    header = header_of(picture)
    try:
        turned = _turned(intrinsics, picture, header)
        wide, high = header.upright if turned else (header.width, header.height)
        width, height = intrinsics.size or (wide, high)
        if not _alike((width, height), (wide, high)):
            raise ValueError(
                f"intrinsics do not match the size: w and h are {width:g} x {height:g}, the image has {wide} x {high} "
                "pixels, another aspect ratio; give intrinsics for this size"
            )
        _check_smaller(intrinsics, picture)
        (fx, fy), (cx, cy) = intrinsics.focal(width, height), intrinsics.centre
        cx, cy = width / 2 if cx is None else cx, height / 2 if cy is None else cy
        across, down = wide / width, high / height
        camera = Camera(pose, fx * across, fy * down, cx * across, cy * down, wide, high)
    except ValueError as error:
        raise DataError(f"{name}: invalid camera: {error}") from error
    if intrinsics.lens is not None and intrinsics.lens.folds(_reach(camera)):
        raise DataError(
            f"{name}: the distortion cannot be undone, because it maps different directions to one pixel; check its "
            f"coefficients, or {UNDISTORT}"
        )
    return Shot(camera, picture, mask, intrinsics.lens, turned, across)


def _turned(intrinsics: Intrinsics, picture: str, header: Header) -> bool:
    """Whether the camera refers to the picture as EXIF turns it, rather than to the stored pixels."""
    if header.orientation == 1:
        return False
    stored, upright = (header.width, header.height), header.upright
    if intrinsics.size is not None and _alike(intrinsics.size, stored) != _alike(intrinsics.size, upright):
        return _alike(intrinsics.size, upright)
    cx, cy = intrinsics.centre
    if intrinsics.size is None and stored != upright and cx is not None and cy is not None:
        distances = [abs(2 * cx - width) + abs(2 * cy - height) for width, height in (stored, upright)]
        if min(distances) < 0.2 * max(distances):
            return distances[1] < distances[0]
    raise ValueError(
        f"the EXIF orientation {header.orientation} of {picture} turns or mirrors it, and its size does not tell "
        "whether the camera refers to the picture before or after that. Save the pictures upright if it is after "
        "(ImageMagick: mogrify -auto-orient), else remove the tag (exiftool -Orientation= FILE)"
    )


def _check_smaller(intrinsics: Intrinsics, picture: str) -> None:
    """Refuse focal lengths in pixels without a size for pictures in a folder that by custom has smaller copies."""
    smaller = _SMALLER.search(picture.replace("\\", "/"))
    in_pixels = intrinsics.focal(1, 1) == intrinsics.focal(2, 2)
    if smaller and in_pixels and intrinsics.size is None and intrinsics.centre == (None, None):
        raise ValueError(
            f"by its name, the folder {smaller[1]} has pictures made smaller by {smaller[2]}, and nothing tells which "
            "size the focal length is for; give w and h of the pictures that it is for"
        )


def _alike(one: tuple[float, float], other: tuple[float, float]) -> bool:
    """Whether two sizes have one aspect ratio, up to the rounding of pixels."""
    return abs(one[0] * other[1] - one[1] * other[0]) <= max(*one, *other)


def _reach(camera: Camera) -> float:
    """The largest distance of the picture's corners from the principal point, in focal lengths."""
    x = max(camera.cx, camera.width - camera.cx) / camera.fx
    y = max(camera.cy, camera.height - camera.cy) / camera.fy
    return float(np.hypot(x, y))
