"""What a view can be asked for in words: `64`, `48x64`, or `128@35,20`, from where an object is seen."""

from __future__ import annotations

import re

from ddmi_core.api import Domain
from ddmi_core.errors import RequestError
from ddmi_nerf.cameras import Camera
from ddmi_nerf.rendering import AZIMUTH, DISTANCE, ELEVATION, checked
from ddmi_nerf.settings import NerfSettings

FORMS = "'64', '48x64' (rows, columns), '64@35,20' (azimuth and elevation in degrees) or '64@35,20,3' (and distance)"
LARGEST_VIEW = 256  # pixels a side, of a report
HIGH = 75.0  # elevation of the view from above
LEAST_DISTANCE, MOST_DISTANCE = 0.1, 100.0

_NUMBER = r"[-+]?\d+(?:\.\d+)?"
_FORM = re.compile(rf"(\d+)(?:x(\d+))?(?:@({_NUMBER}),({_NUMBER})(?:,({_NUMBER}))?)?")


def parse(text: str, settings: NerfSettings) -> Camera:
    """The camera that a text stands for: pixels, and from where it looks at the middle of the cube.

    Args:
        text: in one of the forms that messages name; azimuth 0 is before the object, 90 to its right, and without a
            place it is the usual one.
        settings: of the domain.

    Raises:
        RequestError: if it has another form, or numbers are out of range.
    """
    found = _FORM.fullmatch(text.strip())
    if not found:
        raise RequestError(f"size {text!r} is no view; give {FORMS}")
    rows, columns, azimuth, elevation, distance = found.groups()
    height, width = checked((int(rows), int(columns or rows)))
    turn, rise, away = (
        float(given or usual) for given, usual in ((azimuth, AZIMUTH), (elevation, ELEVATION), (distance, DISTANCE))
    )
    if not (-90 <= rise <= 90 and LEAST_DISTANCE <= away <= MOST_DISTANCE):
        raise RequestError(
            f"size {text!r} is out of range: elevations are -90 to 90 degrees, distances {LEAST_DISTANCE:g} to "
            f"{MOST_DISTANCE:g}"
        )
    return Camera.orbit(turn, rise, away, height=height, width=width)


def views(domain: Domain, settings: NerfSettings) -> tuple[tuple[str, Camera], ...]:
    """The usual view, those from behind and from above, and the usual one with more pixels, up to 256."""
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
