"""Camera files: `transforms.json` of Blender, instant-ngp and nerfstudio, and the text files of SRN data sets."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ddmi_core.errors import DataError, unknown_name
from ddmi_nerf.cameras.camera import Camera, Capture, Shot
from ddmi_nerf.cameras.conventions import Matrix, as_number, flipped, matrix, rigid

MODELS = ("OPENCV", "PINHOLE", "SIMPLE_PINHOLE")
DISTORTIONS = ("k1", "k2", "k3", "k4", "p1", "p2")
BLENDER_EXTENT = 1.5  # of NeRF's synthetic scenes
NERFSTUDIO_EXTENT = 1.0
_NGP_SCALE, _NGP_OFFSET = 0.33, 0.5  # instant-ngp's default scale and offset of coordinates

Values = Mapping[str, Any]
SizeOf = Callable[[str], tuple[int, int]]  # width and height of an image, by its name
SRN_INTRINSICS = "intrinsics.txt"
SRN_EXTENT = 0.5  # half the side of the cube of ShapeNet's objects
_SRN_FORM = (
    "it needs the lines 'f cx cy 0', 'x y z' of the object's centre, optionally the near plane, the scale, 'height "
    "width', and optionally 1 if poses map from the world to the camera"
)


def read_transforms(text: str, name: str, size_of: SizeOf) -> Capture:
    """Read the views of a `transforms.json`, whose camera axes are OpenGL's.

    Intrinsics of a frame take precedence over the file's: `fl_x`, `fl_y`, `cx`, `cy`, or `camera_angle_x`. The object's
    cube is instant-ngp's box if there is an `aabb_scale`, and otherwise the usual one of the format.

    Args:
        text: of the file.
        name: of the file, for messages.
        size_of: returns the size of an image by its `file_path`.

    Raises:
        DataError: if the text is not such a file, or a camera is invalid, has an unknown model or distortion, or does
            not match its image.
    """
    content = _content(text, name)
    frames = content["frames"]
    shots = []
    for number, frame in enumerate(frames):
        picture = frame.get("file_path") if isinstance(frame, dict) else None
        if not isinstance(picture, str):
            raise DataError(f"{name}: frame {number} has no file_path; add the path of its image")
        shots.append(
            Shot(_camera({**content, **frame}, f"{name}: frame {number} ({picture})", picture, size_of), picture)
        )
    centre, extent = _box(content, name)
    return Capture(tuple(shots), extent, centre, str(content.get("ply_file_path") or ""))


def count_frames(text: str, name: str) -> int:
    """Number of views in a `transforms.json`.

    Raises:
        DataError: if the text is not such a file.
    """
    return len(_content(text, name)["frames"])


def write_blender(shots: Sequence[Shot]) -> str:
    """Write views as Blender's `transforms.json`, with the intrinsics that instant-ngp reads.

    Raises:
        ValueError: if cameras have different intrinsics or sizes, which the format cannot represent.
    """
    first = shots[0].camera
    if any(_intrinsics(shot.camera) != _intrinsics(first) for shot in shots):
        raise ValueError("Blender's format has one camera for all views; these have different intrinsics or sizes")
    angle = 2 * math.atan(first.width / 2 / first.fx)
    return json.dumps({"camera_angle_x": angle, **_intrinsics(first), "frames": _frames(shots)}, indent=1)


def write_nerfstudio(shots: Sequence[Shot]) -> str:
    """Write views as nerfstudio's `transforms.json`, with the intrinsics of each frame."""
    frames = [{**frame, **_intrinsics(shot.camera)} for frame, shot in zip(_frames(shots), shots, strict=True)]
    return json.dumps({"camera_model": "OPENCV", "frames": frames}, indent=1)


def _intrinsics(camera: Camera) -> dict[str, float | int]:
    return {
        "fl_x": camera.fx,
        "fl_y": camera.fy,
        "cx": camera.cx,
        "cy": camera.cy,
        "w": camera.width,
        "h": camera.height,
    }


def _frames(shots: Sequence[Shot]) -> list[dict[str, Any]]:
    return [{"file_path": shot.picture, "transform_matrix": flipped(shot.camera.to_world).tolist()} for shot in shots]


def _content(text: str, name: str) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{name}: not valid JSON: {error}; export the cameras again") from error
    frames = content.get("frames") if isinstance(content, dict) else None
    if not isinstance(frames, list) or not frames:
        raise DataError(f"{name}: no list 'frames'; add one frame for each image")
    return dict(content)


def _camera(values: Values, name: str, picture: str, size_of: SizeOf) -> Camera:
    """The camera of a frame, from its values merged over the file's."""
    model = values.get("camera_model", "OPENCV")
    if model not in MODELS:
        raise DataError(f"{name}: {unknown_name('camera model', str(model), MODELS)}; undistort the images to OPENCV")
    if values.get("is_fisheye"):
        raise DataError(f"{name}: is_fisheye is set; undistort the images to a pinhole camera")
    for key in DISTORTIONS:
        if values.get(key):
            raise DataError(
                f"{name}: distortion {key} = {values[key]}; only pinhole cameras are supported: undistort the images, "
                "e.g. with COLMAP's image_undistorter, and set it to 0"
            )
    if values.get("transform_matrix") is None:
        raise DataError(f"{name}: no transform_matrix; add the pose, or remove the frame")
    wide, high = size_of(picture)
    stated = (values.get("w", wide), values.get("h", high))
    if stated != (wide, high):
        raise DataError(
            f"{name}: intrinsics do not match the size: w and h are {stated[0]} x {stated[1]}, the image has {wide} x "
            f"{high} pixels; give intrinsics for this size"
        )
    try:
        fx, fy = _focal_lengths(values, wide, high)
        cx, cy = (as_number({key: middle, **values}, key) for key, middle in (("cx", wide / 2), ("cy", high / 2)))
        return Camera(flipped(matrix(values["transform_matrix"])), fx, fy, cx, cy, wide, high)
    except ValueError as error:
        raise DataError(f"{name}: invalid camera: {error}") from error


def _focal_lengths(values: Values, wide: int, high: int) -> tuple[float, float]:
    """Focal lengths in pixels, along rows and columns."""
    if "fl_x" in values:
        fx = as_number(values, "fl_x")
    elif "camera_angle_x" in values:
        fx = wide / 2 / _tangent(values, "camera_angle_x")
    else:
        raise ValueError("neither fl_x nor camera_angle_x is given; give the focal length in pixels as fl_x")
    if "fl_y" in values:
        return fx, as_number(values, "fl_y")
    if "camera_angle_y" in values:
        return fx, high / 2 / _tangent(values, "camera_angle_y")
    return fx, fx


def _tangent(values: Values, key: str) -> float:
    """Tangent of half an angle of view."""
    angle = as_number(values, key)
    if not 0 < angle < math.pi:
        raise ValueError(f"{key} is {angle:g}; give the angle of view in radians, between 0 and 3.14")
    return math.tan(angle / 2)


def _box(content: Values, name: str) -> tuple[Any, float]:
    """Centre of the object's cube, and half its side."""
    if "aabb_scale" not in content:
        return np.zeros(3), NERFSTUDIO_EXTENT if "camera_model" in content else BLENDER_EXTENT
    try:
        scale = float(content.get("scale", _NGP_SCALE))
        offset = np.broadcast_to(np.asarray(content.get("offset", _NGP_OFFSET), dtype=np.float64), 3)
        extent = float(content["aabb_scale"]) / 2 / scale
    except (TypeError, ValueError, ZeroDivisionError) as error:
        raise DataError(
            f"{name}: aabb_scale, scale or offset is invalid: {error}; give numbers as instant-ngp does"
        ) from error
    if not (math.isfinite(extent) and extent > 0 and np.isfinite(offset).all()):
        raise DataError(f"{name}: aabb_scale and scale must be above 0, and offset must be finite")
    return (0.5 - offset) / scale, extent


def read_srn(intrinsics: str, pose: str, name: str, picture: str, size_of: SizeOf) -> Camera:
    """Read the camera of one view of an SRN data set (scene representation networks).

    Intrinsics are scaled if the image has another size of the same aspect ratio.

    Args:
        intrinsics: text of `intrinsics.txt`.
        pose: text of the file in `pose/`: 16 numbers, row by row, camera to world, axes x right, y down, z forwards.
        name: of the pose's file, for messages.
        picture: name of the view's image.
        size_of: returns the size of an image.

    Raises:
        DataError: if a text is invalid, or does not match the image.
    """
    (f, cx, cy), width, height, inverted = _srn_intrinsics(intrinsics, name)
    wide, high = size_of(picture)
    if abs(wide * height - high * width) > max(width, height):
        raise DataError(
            f"{name}: intrinsics are for images of {width} x {height} pixels, but {picture} has {wide} x {high}, "
            f"another aspect ratio; correct the size in {SRN_INTRINSICS}"
        )
    try:
        values = np.array([float(word) for word in pose.split()])
        if values.size != 16:
            raise ValueError(f"it has {values.size} numbers instead of 16")
        return Camera(_to_world(values.reshape(4, 4), inverted), f, f, cx, cy, width, height).resized(wide, high)
    except ValueError as error:
        raise DataError(f"{name}: invalid camera: {error}") from error


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
    except (ValueError, IndexError) as error:
        raise DataError(f"{name}: {SRN_INTRINSICS} of its object is invalid; {_SRN_FORM}") from error
    return (f, cx, cy), width, height, inverted


def _to_world(pose: Matrix, inverted: bool) -> Matrix:
    if not inverted:
        return pose
    return rigid(np.linalg.inv(rigid(pose)))
