"""Cameras on orbits around the origin: the default view, the report's views, turntables, and parsing of view texts."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from attrs import evolve

from ddmi_core.errors import DataError, RequestError, counted
from ddmi_core.parts import checked_size
from ddmi_nerf.cameras.camera import Camera, from_json
from ddmi_nerf.settings import NerfSettings

AZIMUTH, ELEVATION, DISTANCE = 35.0, 25.0, 2.8  # of the default camera
LARGEST = 8192  # pixels a side
LARGEST_VIEW = 256  # pixels a side in a report
HIGH = 75.0  # elevation of the view from above
LEAST_DISTANCE, MOST_DISTANCE = 0.1, 100.0
FRAMES = 48  # of one turn
RATE = 16.0  # frames a second
FORMS = (
    "'64', '48x64' (rows, columns), '64@35,20' (azimuth and elevation in degrees), '64@35,20,3' (and distance) or "
    "'cameras.json@12' (a camera of a file)"
)

_NUMBER = r"[-+]?[0-9]{1,9}(?:\.[0-9]{1,30})?"
_STORED = re.compile(r"(.+\.json)(?:@([0-9]{1,9}))?", re.IGNORECASE)
_FORM = re.compile(rf"([0-9]{{1,9}})(?:x([0-9]{{1,9}}))?(?:@({_NUMBER}),({_NUMBER})(?:,({_NUMBER}))?)?")


def usual_camera(size: tuple[int, int]) -> Camera:
    """The default camera, for a view of `size` rows and columns."""
    return Camera.orbit(AZIMUTH, ELEVATION, DISTANCE, height=size[0], width=size[1])


def turned(camera: Camera, degrees: float) -> Camera:
    """The camera rotated about the z axis, anticlockwise as seen from above."""
    angle = np.radians(degrees)
    pose = np.eye(4)
    pose[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return evolve(camera, to_world=pose @ camera.to_world)


def orbit(camera: Camera, count: int = FRAMES) -> list[Camera]:
    """Cameras of one full turn about the z axis in `count` equal steps, starting with the given one."""
    return [turned(camera, 360 * number / count) for number in range(count)]


def report_views(settings: NerfSettings) -> tuple[tuple[str, Camera], ...]:
    """Labelled cameras for the report: the default view, from behind, from above, and at a higher resolution."""
    size = settings.size
    places = [
        (f"{size} pixels", size, AZIMUTH, ELEVATION),
        ("from behind", size, AZIMUTH + 180, ELEVATION),
        ("from above", size, AZIMUTH, HIGH),
    ]
    if size < LARGEST_VIEW:
        large = min(LARGEST_VIEW, 2 * size)
        places.append((f"{large} pixels", large, AZIMUTH, ELEVATION))
    return tuple(
        (label, Camera.orbit(turn, rise, DISTANCE, height=side, width=side)) for label, side, turn, rise in places
    )


def parse_view(text: str, settings: NerfSettings) -> Camera:
    """Parse a view text such as `64`, `48x64` or `128@35,20` into a camera that looks at the origin.

    Args:
        text: size in pixels, optionally followed by `@azimuth,elevation` in degrees and a distance. Azimuth 0 is in
            front of the object and 90 to its right. Without `@`, the default direction is used. Or a file of
            cameras, `cameras.json`, optionally with a number from 0, `cameras.json@12`.
        settings: of the domain.

    Raises:
        RequestError: if the text has another form, or a number is out of range.
        DataError: if the file is missing, or has no such cameras.
    """
    found = _FORM.fullmatch(text.strip())
    if stored := _STORED.fullmatch(text.strip()):
        return stored_camera(Path(stored[1]), int(stored[2] or 0))
    if not found:
        raise RequestError(f"size {text!r} is not a view; give {FORMS}")
    rows, columns, azimuth, elevation, distance = found.groups()
    height, width = view_size((int(rows), int(columns or rows)))
    turn, rise, away = (
        float(given or usual) for given, usual in ((azimuth, AZIMUTH), (elevation, ELEVATION), (distance, DISTANCE))
    )
    if not (-90 <= rise <= 90 and LEAST_DISTANCE <= away <= MOST_DISTANCE):
        raise RequestError(
            f"size {text!r} is out of range: elevations are -90 to 90 degrees, distances {LEAST_DISTANCE:g} to "
            f"{MOST_DISTANCE:g}"
        )
    return Camera.orbit(turn, rise, away, height=height, width=width)


def stored_camera(path: Path, number: int) -> Camera:
    """A camera of a file that `ddmi sample --format json` writes, for one view of `ddmi sample`, `reconstruct` ...

    Raises:
        DataError: if the file is missing, or is no such file.
        RequestError: if it has fewer cameras.
    """
    try:
        cameras = from_json(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cameras {path} cannot be read: {error}") from error
    if not number < len(cameras):
        raise RequestError(f"{path} has no camera {number}; it has {counted(len(cameras), 'camera')}, from 0")
    return cameras[number]


def view_size(size: Any) -> tuple[int, int]:
    """Rows and columns of pixels, from one number for both or from two.

    Raises:
        RequestError: if there are not one or two numbers, or one is out of range.
    """
    rows, columns = checked_size(size, ("rows", "columns"), largest=LARGEST)
    return rows, columns
