"""Scenes by number or name."""

from __future__ import annotations

from ddmi_core.errors import DataError
from ddmi_video.scenes.digits import digits
from ddmi_video.scenes.draws import draws, pick
from ddmi_video.scenes.scene import Scene
from ddmi_video.scenes.skies import sky

KINDS = ("day", "sunset", "sunrise", "night", "digit", "two-digits")
SHARES = (0.24, 0.15, 0.15, 0.18, 0.15, 0.13)
SHARE_PART = 100  # the part of a scene's random numbers that says of which kind it is


def scene(which: int | str) -> Scene:
    """The scene of a number or a name.

    Args:
        which: a whole number from 0 up, or a scene's name, as signals of the data set have it.

    Raises:
        DataError: if there is no such scene.

    Example:
        >>> scene(3) == scene(scene(3).name)
        True
    """
    if isinstance(which, str):
        kind, _, number = which.rpartition("-")
        found = _made(int(number)) if number.isdecimal() and kind in KINDS else None
        if found is None or found.name != which:
            raise DataError(f"there is no scene '{which}'; names are like '{_made(0).name}', a kind and a number")
        return found
    if which < 0:
        raise DataError(f"there is no scene of number {which}; numbers start at 0")
    return _made(which)


def _made(number: int) -> Scene:
    kind = pick(draws(number, SHARE_PART), KINDS, SHARES)
    if kind in ("digit", "two-digits"):
        return digits(number, 1 + (kind == "two-digits"))
    return sky(number, kind)
