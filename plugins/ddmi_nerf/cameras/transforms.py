"""Camera files `transforms.json` of Blender, instant-ngp and nerfstudio."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ddmi_core.errors import DataError
from ddmi_core.parts import json_value
from ddmi_nerf.cameras.camera import Camera, Capture, Shot
from ddmi_nerf.cameras.conventions import as_number, flipped, matrix
from ddmi_nerf.cameras.intrinsics import HeaderOf, Intrinsics, fitted
from ddmi_nerf.cameras.lens import COEFFICIENTS, KEYS, PINHOLES, Lens, lens, listed

FOCAL = ("fl_x", "fl_y", "camera_angle_x", "camera_angle_y")
BLENDER_EXTENT = 1.5  # of NeRF's synthetic scenes
NERFSTUDIO_EXTENT = 1.0
_NGP_SCALE, _NGP_OFFSET = 0.33, 0.5  # instant-ngp's default scale and offset of coordinates

Values = Mapping[str, Any]


def read_transforms(text: str, name: str, header_of: HeaderOf) -> Capture:
    """Read the views of a `transforms.json`, whose camera axes are OpenGL's.

    Intrinsics of a frame take precedence over the file's: a focal length (`fl_x` and `fl_y`, or `camera_angle_x` and
    `camera_angle_y`) replaces all focal lengths of the file, a distortion all of its distortion, and `cx`, `cy`, `w`
    and `h` replace each their own. Without `fl_y`, it is `fl_x`. Frames that are listed twice are taken once. The
    object's cube is instant-ngp's box if there is an `aabb_scale`, and otherwise the usual one of the format.
    nerfstudio's `applied_transform` and `applied_scale` say what its program did to the poses: they are kept, so that
    it can be undone, and not applied again.

    Args:
        text: of the file.
        name: of the file, for messages.
        header_of: returns the header of an image by its `file_path`.

    Raises:
        DataError: if the text is not such a file, or a camera is invalid, has an unknown model or distortion, or does
            not match its image.
    """
    content = _content(text, name)
    shots = []
    for number, frame in enumerate(content["frames"]):
        picture = frame.get("file_path") if isinstance(frame, dict) else None
        if not isinstance(picture, str):
            raise DataError(f"{name}: frame {number} has no file_path; add the path of its image")
        where = f"{name}: frame {number} ({picture})"
        shots.append(_shot(_merged(content, frame), where, picture, header_of))
    centre, extent = _box(content, name)
    applied: dict[str, Any] = {key: content[key] for key in ("applied_transform", "applied_scale") if key in content}
    return Capture(tuple(shots), extent, centre, str(content.get("ply_file_path") or ""), applied)


def list_frames(text: str, name: str) -> list[tuple[str, str]]:
    """Paths of image and mask of each view in a `transforms.json`; empty where there are none.

    Raises:
        DataError: if the text is not such a file.
    """
    frames = [frame if isinstance(frame, dict) else {} for frame in _content(text, name)["frames"]]
    return [(str(frame.get("file_path") or ""), str(frame.get("mask_path") or "")) for frame in frames]


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
    content = json_value(text, name, "export the cameras again")
    frames = content.get("frames") if isinstance(content, dict) else None
    if not isinstance(frames, list) or not frames:
        raise DataError(f"{name}: no list 'frames'; add one frame for each image")
    once = {json.dumps(frame, sort_keys=True): frame for frame in frames}
    return {**content, "frames": list(once.values())}


def _merged(content: Values, frame: Values) -> dict[str, Any]:
    """The values of a frame over those of the file: a frame's focal length or distortion replaces all of the file's."""
    replaced = {key for group in (FOCAL, KEYS) if any(key in frame for key in group) for key in group}
    return {**{key: value for key, value in content.items() if key not in replaced}, **frame}


def _shot(values: Values, name: str, picture: str, header_of: HeaderOf) -> Shot:
    """The view of a frame, from its values merged over the file's."""
    if values.get("transform_matrix") is None:
        raise DataError(f"{name}: no transform_matrix; add the pose, or remove the frame")
    try:
        pose = flipped(matrix(values["transform_matrix"]))
        cx, cy = (as_number(values, key) if key in values else None for key in ("cx", "cy"))
        size = (as_number(values, "w"), as_number(values, "h")) if "w" in values and "h" in values else None
        intrinsics = Intrinsics(
            lambda width, height: _focal_lengths(values, width, height), (cx, cy), size, _lens(values)
        )
    except ValueError as error:
        raise DataError(f"{name}: invalid camera: {error}") from error
    return fitted(name, pose, intrinsics, picture, header_of, str(values.get("mask_path") or ""))


def _lens(values: Values) -> Lens | None:
    """The lens from a frame's model and coefficients; instant-ngp's `is_fisheye` is OpenCV's model."""
    model = str(values.get("camera_model", "OPENCV"))
    if values.get("is_fisheye") and model.upper() in PINHOLES:
        model = "OPENCV_FISHEYE"
    given = listed(values["distortion_params"]) if values.get("distortion_params") else values
    return lens(model, {key: as_number(given, key) for key in COEFFICIENTS if key in given})


def _focal_lengths(values: Values, wide: float, high: float) -> tuple[float, float]:
    """Focal lengths in pixels, along rows and columns."""
    if "fl_x" in values:
        fx = as_number(values, "fl_x")
    elif "camera_angle_x" in values:
        fx = wide / 2 / _tangent(values, "camera_angle_x")
    else:
        raise ValueError("neither fl_x nor camera_angle_x is given; give the focal length in pixels as fl_x")
    if "fl_y" in values:
        return fx, as_number(values, "fl_y")
    if "camera_angle_y" in values and "fl_x" not in values:
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
