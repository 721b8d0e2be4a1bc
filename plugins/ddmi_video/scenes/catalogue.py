"""Lookup of procedural scenes by number or name."""

from __future__ import annotations

from collections.abc import Mapping

from ddmi_core.errors import DataError
from ddmi_core.parts import pick
from ddmi_video.scenes import balls, digits, skies
from ddmi_video.scenes.procedural_clip import Scene, draws

Family = Mapping[str, float]  # share of each kind of scene

SCENES: Family = {"day": 0.22, "sunset": 0.14, "sunrise": 0.14, "night": 0.18, "ball": 0.16, "two-balls": 0.16}
DIGITS: Family = {"digit": 0.5, "two-digits": 0.5}
SHARE_PART = 100  # part of a scene's random numbers that decides its kind


def scene(which: int | str, family: Family = SCENES) -> Scene:
    """The scene of a number or a name.

    Args:
        which: an integer from 0, or the name of a scene, which is also the name of its signal.
        family: kinds of scenes that a number can stand for; a name needs none.

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
        raise DataError(f"there is no scene '{which}'; names are a kind and a number: '{_made(0, SCENES).name}'")
    if which < 0:
        raise DataError(f"there is no scene number {which}; numbers start at 0")
    return _made(which, family)


def _made(number: int, family: Family) -> Scene:
    kind = pick(draws(number, SHARE_PART), tuple(family), tuple(family.values()))
    if kind in digits.KINDS:
        return digits.digits(number, 1 + digits.KINDS.index(kind))
    if kind in balls.KINDS:
        return balls.balls(number, 1 + balls.KINDS.index(kind))
    return skies.sky(number, kind)
