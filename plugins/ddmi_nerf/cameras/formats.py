"""Cameras as `transforms.json`: Blender's as NeRF and instant-ngp have them, and nerfstudio's; axes are OpenGL's."""

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
_NGP_SCALE, _NGP_OFFSET = 0.33, 0.5  # what instant-ngp does to places, if a file does not say otherwise

Values = Mapping[str, Any]
SizeOf = Callable[[str], tuple[int, int]]  # width and height of a picture, by its name
SRN_INTRINSICS = "intrinsics.txt"
SRN_EXTENT = 0.5  # half the side of the cube of ShapeNet's objects
_SRN_FORM = (
    "it needs the lines 'f cx cy 0', 'x y z' of the object's middle, optionally the near plane, the scale, 'height "
    "width', and optionally 1 for poses from the world to the camera"
)


def read_transforms(text: str, name: str, size_of: SizeOf) -> Capture:
    """Views of a `transforms.json`.

    Intrinsics are those of a frame, or else the file's: `fl_x`, `fl_y`, `cx`, `cy`, or `camera_angle_x`. The object is
    in instant-ngp's box if there is an `aabb_scale`; otherwise in the usual one of the format.

    Args:
        text: of the file.
        name: of the file, for messages.
        size_of: gives the size of a picture, by its `file_path`.

    Raises:
        DataError: if the text is no such file, a camera is not valid, has an unknown model or distortion, or does not
            fit its picture.
    """
    content = _content(text, name)
    frames = content["frames"]
    shots = []
    for number, frame in enumerate(frames):
        picture = frame.get("file_path") if isinstance(frame, dict) else None
        if not isinstance(picture, str):
            raise DataError(f"{name}: frame {number} has no file_path; name its picture there")
        shots.append(
            Shot(_camera({**content, **frame}, f"{name}: frame {number} ({picture})", picture, size_of), picture)
        )
    centre, extent = _box(content, name)
    return Capture(tuple(shots), extent, centre, str(content.get("ply_file_path") or ""))


def count_frames(text: str, name: str) -> int:
    """How many views a `transforms.json` has.

    Raises:
        DataError: if it is no such file.
    """
    return len(_content(text, name)["frames"])


def write_blender(shots: Sequence[Shot]) -> str:
    """Views as Blender's `transforms.json`, with the intrinsics that instant-ngp reads.

    Raises:
        ValueError: if cameras have different intrinsics or sizes, which the format cannot say.
    """
    first = shots[0].camera
    if any(_intrinsics(shot.camera) != _intrinsics(first) for shot in shots):
        raise ValueError("one camera for all views is needed; these have different intrinsics or sizes")
    angle = 2 * math.atan(first.width / 2 / first.fx)
    return json.dumps({"camera_angle_x": angle, **_intrinsics(first), "frames": _frames(shots)}, indent=1)


def write_nerfstudio(shots: Sequence[Shot]) -> str:
    """Views as nerfstudio's `transforms.json`, with the intrinsics of each frame."""
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
        raise DataError(f"{name}: no JSON: {error}; export the cameras again") from error
    frames = content.get("frames") if isinstance(content, dict) else None
    if not isinstance(frames, list) or not frames:
        raise DataError(f"{name}: no 'frames' in it; it must list one frame a picture")
    return dict(content)


def _camera(values: Values, name: str, picture: str, size_of: SizeOf) -> Camera:
    """The camera of a frame, whose values are laid over the file's."""
    model = values.get("camera_model", "OPENCV")
    if model not in MODELS:
        raise DataError(f"{name}: {unknown_name('camera model', str(model), MODELS)}; undistort the pictures to OPENCV")
    if values.get("is_fisheye"):
        raise DataError(f"{name}: is_fisheye is set; undistort the pictures to a pinhole camera")
    for key in DISTORTIONS:
        if values.get(key):
            raise DataError(
                f"{name}: distortion {key} = {values[key]}; only pinhole cameras are taken: undistort the pictures, as "
                "COLMAP's image_undistorter does, and set it to 0"
            )
    if values.get("transform_matrix") is None:
        raise DataError(f"{name}: no transform_matrix; remove the frame, or give its pose")
    wide, high = size_of(picture)
    told = (values.get("w", wide), values.get("h", high))
    if told != (wide, high):
        raise DataError(
            f"{name}: intrinsics do not fit the size: w and h are {told[0]} x {told[1]}, the picture has {wide} x "
            f"{high} pixels; give intrinsics of this size"
        )
    try:
        fx, fy = _focal_lengths(values, wide, high)
        cx, cy = (as_number({key: middle, **values}, key) for key, middle in (("cx", wide / 2), ("cy", high / 2)))
        return Camera(flipped(matrix(values["transform_matrix"])), fx, fy, cx, cy, wide, high)
    except ValueError as error:
        raise DataError(f"{name}: cannot be used: {error}") from error


def _focal_lengths(values: Values, wide: int, high: int) -> tuple[float, float]:
    """In pixels, along rows and columns."""
    if "fl_x" in values:
        fx = as_number(values, "fl_x")
    elif "camera_angle_x" in values:
        fx = wide / 2 / _tangent(values, "camera_angle_x")
    else:
        raise ValueError("there is neither fl_x nor camera_angle_x; give the focal length in pixels as fl_x")
    if "fl_y" in values:
        return fx, as_number(values, "fl_y")
    if "camera_angle_y" in values:
        return fx, high / 2 / _tangent(values, "camera_angle_y")
    return fx, fx


def _tangent(values: Values, key: str) -> float:
    """Of half an angle of view."""
    angle = as_number(values, key)
    if not 0 < angle < math.pi:
        raise ValueError(f"{key} is {angle:g}; give the angle of view in radians, between 0 and 3.14")
    return math.tan(angle / 2)


def _box(content: Values, name: str) -> tuple[Any, float]:
    """Middle of the object's cube, and half its side."""
    if "aabb_scale" not in content:
        return np.zeros(3), NERFSTUDIO_EXTENT if "camera_model" in content else BLENDER_EXTENT
    try:
        scale = float(content.get("scale", _NGP_SCALE))
        offset = np.broadcast_to(np.asarray(content.get("offset", _NGP_OFFSET), dtype=np.float64), 3)
        extent = float(content["aabb_scale"]) / 2 / scale
    except (TypeError, ValueError, ZeroDivisionError) as error:
        raise DataError(f"{name}: aabb_scale, scale or offset is not what instant-ngp takes: {error}") from error
    if not (math.isfinite(extent) and extent > 0 and np.isfinite(offset).all()):
        raise DataError(f"{name}: aabb_scale and scale must be above 0, and offset finite")
    return (0.5 - offset) / scale, extent


def read_srn(intrinsics: str, pose: str, name: str, picture: str, size_of: SizeOf) -> Camera:
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
    (f, cx, cy), width, height, inverted = _srn_intrinsics(intrinsics, name)
    wide, high = size_of(picture)
    if abs(wide * height - high * width) > max(width, height):
        raise DataError(
            f"{name}: intrinsics are for pictures of {width} x {height} pixels, {picture} has {wide} x {high}, another "
            f"form; mend the last line of {SRN_INTRINSICS}"
        )
    try:
        values = np.array([float(word) for word in pose.split()])
        if values.size != 16:
            raise ValueError(f"{values.size} numbers instead of 16")
        return Camera(_to_world(values.reshape(4, 4), inverted), f, f, cx, cy, width, height).resized(wide, high)
    except ValueError as error:
        raise DataError(f"{name}: cannot be used: {error}") from error


def write_srn(camera: Camera) -> tuple[str, str]:
    """Texts of `intrinsics.txt` and of the file of the pose, with which `read_srn` gives the camera again.

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


def _srn_intrinsics(text: str, name: str) -> tuple[tuple[float, float, float], int, int, bool]:
    """f, cx and cy; width and height; whether poses go from the world to the camera."""
    lines = [line.split() for line in text.splitlines() if line.strip()]
    try:
        f, cx, cy = (float(word) for word in lines[0][:3])
        place = [len(words) for words in lines].index(2)
        height, width = (int(float(word)) for word in lines[place])
        inverted = bool(int(float(lines[place + 1][0]))) if place + 1 < len(lines) else False
    except (ValueError, IndexError) as error:
        raise DataError(f"{name}: {SRN_INTRINSICS} of its object cannot be used; {_SRN_FORM}") from error
    return (f, cx, cy), width, height, inverted


def _to_world(pose: Matrix, inverted: bool) -> Matrix:
    if not inverted:
        return pose
    return rigid(np.linalg.inv(rigid(pose)))
