"""Pinhole cameras, captures of an object by several cameras, and cameras as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from attrs import evolve, field, frozen, validators
from torch import Tensor

from ddmi_core.errors import DataError
from ddmi_nerf.cameras.conventions import Matrix, as_number, rigid
from ddmi_nerf.cameras.lens import Lens

Floats = npt.NDArray[np.float64]

CONVENTION = "opencv"
FIELD_OF_VIEW = 52.0  # degrees, as in SRN Cars
_NUMBERS = ("fx", "fy", "cx", "cy")


def _focal(camera: Camera, attribute: Any, value: float) -> None:
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"focal length {attribute.name} is {value:g} pixels; it must be above 0")


def _finite(camera: Camera, attribute: Any, value: float) -> None:
    if not math.isfinite(value):
        raise ValueError(f"principal point {attribute.name} is {value}; it must be finite")


@frozen(eq=False)
class Camera:
    """A pinhole camera without distortion.

    Its axes are OpenCV's: x to the right, y down, z forwards. The ray of the pixel in row r and column c passes through
    its centre, `(c + 0.5, r + 0.5)`.

    Args:
        to_world: `(4, 4)`, camera to world: rotation and position.
        fx: focal length in pixels, along rows.
        fy: focal length in pixels, along columns.
        cx: principal point, in pixels from the left edge of the image.
        cy: principal point, in pixels from its top edge.
        width: pixels of a row.
        height: pixels of a column.

    Raises:
        ValueError: if the pose is not rigid, a focal length is not above 0, or the image has no pixels.

    Example:
        >>> camera = Camera.orbit(azimuth=0, elevation=0, distance=2, width=4, height=2)
        >>> origins, directions = camera.rays()
        >>> origins[0].round(decimals=3).tolist(), tuple(directions.shape)
        ([0.0, -2.0, 0.0], (8, 3))
    """

    to_world: Matrix = field(converter=rigid)
    fx: float = field(converter=float, validator=_focal)
    fy: float = field(converter=float, validator=_focal)
    cx: float = field(converter=float, validator=_finite)
    cy: float = field(converter=float, validator=_finite)
    width: int = field(validator=validators.ge(1))
    height: int = field(validator=validators.ge(1))

    @classmethod
    def orbit(
        cls,
        azimuth: float,
        elevation: float,
        distance: float,
        *,
        width: int = 64,
        height: int = 64,
        field_of_view: float = FIELD_OF_VIEW,
    ) -> Camera:
        """A camera that looks at the origin, with z up.

        Args:
            azimuth: degrees; 0 places it at -y, 90 at +x.
            elevation: degrees above the horizon, from -90 to 90.
            distance: from the origin.
            width: pixels of a row.
            height: pixels of a column.
            field_of_view: degrees, along the shorter side of the image.

        Raises:
            ValueError: if an argument is out of range.
        """
        for name, value, fits, limits in (
            ("azimuth", azimuth, True, "finite"),
            ("elevation", elevation, -90 <= elevation <= 90, "from -90 to 90 degrees"),
            ("distance", distance, distance > 0, "above 0"),
            ("field_of_view", field_of_view, 0 < field_of_view < 180, "between 0 and 180 degrees"),
            ("width", width, width >= 1, "1 or more"),
            ("height", height, height >= 1, "1 or more"),
        ):
            if not (fits and math.isfinite(value)):
                raise ValueError(f"{name}={value:g} must be {limits}")
        a, e = math.radians(azimuth), math.radians(elevation)
        outwards = np.array([math.cos(e) * math.sin(a), -math.cos(e) * math.cos(a), math.sin(e)])
        right = np.array([math.cos(a), math.sin(a), 0.0])
        pose = np.eye(4)
        pose[:3, :3] = np.stack([right, np.cross(-outwards, right), -outwards], axis=1)
        pose[:3, 3] = distance * outwards
        focal = min(width, height) / 2 / math.tan(math.radians(field_of_view) / 2)
        return cls(pose, focal, focal, width / 2, height / 2, width, height)

    @property
    def origin(self) -> Floats:
        """Position `(3,)` in the world."""
        return self.to_world[:3, 3]

    @property
    def intrinsics(self) -> tuple[float, float, float, float]:
        """fx, fy, cx, cy."""
        return (self.fx, self.fy, self.cx, self.cy)

    def directions(self) -> Floats:
        """Unit directions `(H * W, 3)` of the pixels' rays in the world, row by row."""
        across = (np.arange(self.width) + 0.5 - self.cx) / self.fx
        down = (np.arange(self.height) + 0.5 - self.cy) / self.fy
        x, y = np.meshgrid(across, down)
        local = np.stack([x.ravel(), y.ravel(), np.ones(x.size)], axis=1)
        local /= np.linalg.norm(local, axis=1, keepdims=True)
        result: Floats = local @ self.to_world[:3, :3].T
        return result

    def rays(self) -> tuple[Tensor, Tensor]:
        """Origins and unit directions of the pixels' rays, each `(H * W, 3)`, float32, row by row."""
        directions = torch.from_numpy(self.directions().astype(np.float32))
        origin = torch.from_numpy(self.origin.astype(np.float32))
        return origin.expand_as(directions), directions

    def project(self, points: Floats) -> tuple[Floats, Floats]:
        """Project points into the image.

        Args:
            points: `(N, 3)`, in the world.

        Returns:
            Pixel coordinates `(N, 2)`, from the left and top edges, and depths `(N,)` along the optical axis. Points
            that are not in front of the camera have a depth of 0 or less, and NaN as coordinates.
        """
        local = (points - self.origin) @ self.to_world[:3, :3]
        depth = local[:, 2]
        before = np.where(depth > 0, depth, np.nan)[:, None]
        return local[:, :2] / before * [self.fx, self.fy] + [self.cx, self.cy], depth

    def resized(self, width: int, height: int) -> Camera:
        """The same view with another number of pixels."""
        across, down = width / self.width, height / self.height
        return Camera(self.to_world, self.fx * across, self.fy * down, self.cx * across, self.cy * down, width, height)

    def cropped(self, left: int, top: int, width: int, height: int) -> Camera:
        """The part of the view that starts at a pixel; it may extend beyond the image."""
        return evolve(self, cx=self.cx - left, cy=self.cy - top, width=width, height=height)

    def placed(self, centre: Floats, extent: float) -> Camera:
        """The camera in coordinates in which the cube of half side `extent` around `centre` is [-1, 1]^3."""
        pose = self.to_world.copy()
        pose[:3, 3] = (pose[:3, 3] - centre) / extent
        return evolve(self, to_world=pose)


def _origin() -> npt.NDArray[np.float64]:
    return np.zeros(3)


@frozen(eq=False)
class Shot:
    """One view: a camera, the path of its image, and what the reader of the image has to do."""

    camera: Camera  # of the image that is read: turned and without distortion
    picture: str  # path of the image, relative to the folder of the file
    mask: str = ""  # path of its mask, likewise; empty without
    lens: Lens | None = None  # the distortion to undo
    turned: bool = False  # whether the image is turned as its EXIF data say
    scale: float = 1.0  # by which the intrinsics of the file were multiplied


@frozen(eq=False)
class Capture:
    """Views of one object, as read from a camera file."""

    shots: tuple[Shot, ...]
    extent: float  # half the side of the object's cube, in the file's units
    centre: npt.NDArray[np.float64] = field(factory=_origin)  # (3,), of that cube
    points: str = ""  # path of a point cloud that the file names, if any
    applied: Mapping[str, Any] = field(factory=dict)  # what the file says was done to its world before


def to_json(cameras: Sequence[Camera]) -> str:
    """Write cameras as JSON.

    The text is an object: `convention` is `opencv`, and `cameras` a list of objects with `to_world` (4 rows of 4,
    camera to world, axes x right, y down, z forwards), `fx`, `fy`, `cx`, `cy`, `width` and `height` in pixels.
    """
    described = [
        {
            "to_world": camera.to_world.tolist(),
            **{name: getattr(camera, name) for name in (*_NUMBERS, "width", "height")},
        }
        for camera in cameras
    ]
    return json.dumps({"convention": CONVENTION, "cameras": described}, indent=1)


def from_json(text: str, name: str) -> list[Camera]:
    """Read cameras from the JSON of `to_json`.

    Args:
        text: JSON.
        name: of the file, for messages.

    Raises:
        DataError: if the text is not such JSON, or a camera is invalid.
    """
    try:
        content = json.loads(text)
        convention, listed = content["convention"], list(content["cameras"])
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise DataError(f"{name}: not a JSON camera file: {error!r}; it needs 'convention' and 'cameras'") from error
    if convention != CONVENTION:
        raise DataError(f"{name}: camera convention {convention!r} is unknown; use {CONVENTION!r} (y down, z forwards)")
    cameras = []
    for number, entry in enumerate(listed):
        try:
            fx, fy, cx, cy, width, height = (as_number(entry, key) for key in (*_NUMBERS, "width", "height"))
            cameras.append(Camera(entry["to_world"], fx, fy, cx, cy, int(width), int(height)))
        except KeyError as error:
            raise DataError(f"{name}: camera {number} has no {error}") from error
        except (TypeError, ValueError) as error:
            raise DataError(f"{name}: camera {number} is invalid: {error}") from error
    return cameras
