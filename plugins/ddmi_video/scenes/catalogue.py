"""Scenes by number or name."""

from __future__ import annotations

from collections.abc import Mapping

from ddmi_core.errors import DataError
from ddmi_core.parts import pick
from ddmi_video.scenes import balls, digits, skies
from ddmi_video.scenes.draws import draws
from ddmi_video.scenes.scene import Scene

Family = Mapping[str, float]  # share of each kind of scenes

SCENES: Family = {"day": 0.22, "sunset": 0.14, "sunrise": 0.14, "night": 0.18, "ball": 0.16, "two-balls": 0.16}
DIGITS: Family = {"digit": 0.5, "two-digits": 0.5}
SHARE_PART = 100  # the part of a scene's random numbers that says of which kind it is


def scene(which: int | str, family: Family = SCENES) -> Scene:
    """The scene of a number or a name.

    Args:
        which: a whole number from 0 up, or a scene's name, as signals of the data set have it.
        family: which kinds a number stands for; a name tells it.

    Raises:
        DataError: if there is no such scene.

    Example:
        >>> scene(3) == scene(scene(3).name)
        True
    """
    if isinstance(which, str):
        kind, _, number = which.rpartition("-")
        for kinds in (SCENES, DIGITS):
            if kind in kinds and number.isdecimal() and (found := _made(int(number), kinds)).name == which:
                return found
        raise DataError(f"there is no scene '{which}'; names are like '{_made(0, SCENES).name}', a kind and a number")
    if which < 0:
        raise DataError(f"there is no scene of number {which}; numbers start at 0")
    return _made(which, family)


def _made(number: int, family: Family) -> Scene:
    kind = pick(draws(number, SHARE_PART), tuple(family), tuple(family.values()))
    if kind in digits.KINDS:
        return digits.digits(number, 1 + digits.KINDS.index(kind))
    if kind in balls.KINDS:
        return balls.balls(number, 1 + balls.KINDS.index(kind))
    return skies.sky(number, kind)
