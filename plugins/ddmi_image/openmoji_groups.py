"""Groups of OpenMoji's drawings: their code points, and the part of the design square that is shown."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

TONES = range(0x1F3FB, 0x1F400)
PRESENTATION = 0xFE0F
JOINER = 0x200D
REGIONAL = range(0x1F1E6, 0x1F200)
FLAG_TAGGED = 0x1F3F4
TAGS = range(0xE0020, 0xE0080)
PRIVATE = range(0xE000, 0xF900)

# Code-point ranges, first and last; `fmt: off` keeps the tables as tables.
# fmt: off
_FACES = [(0x2639, 0x263A), (0x1F600, 0x1F637), (0x1F641, 0x1F644), (0x1F910, 0x1F915), (0x1F917, 0x1F917)]
_FACES += [(0x1F920, 0x1F925), (0x1F927, 0x1F92F), (0x1F970, 0x1F976), (0x1F978, 0x1F97A), (0x1F9D0, 0x1F9D0)]
_FACES += [(0x1FAE0, 0x1FAE5), (0x1FAE8, 0x1FAEA)]

# Portraits of head and shoulders: no couples, families, whole bodies or wheelchairs.
_PEOPLE = [(0x1F385, 0x1F385), (0x1F466, 0x1F469), (0x1F46E, 0x1F46E), (0x1F470, 0x1F471), (0x1F473, 0x1F475)]
_PEOPLE += [(0x1F477, 0x1F478), (0x1F481, 0x1F482), (0x1F486, 0x1F487), (0x1F575, 0x1F575)]
_PEOPLE += [(0x1F645, 0x1F646), (0x1F64B, 0x1F64B), (0x1F64D, 0x1F64E), (0x1F926, 0x1F926), (0x1F934, 0x1F937)]
_PEOPLE += [(0x1F977, 0x1F977), (0x1F9B8, 0x1F9B9), (0x1F9D1, 0x1F9D6), (0x1F9D9, 0x1F9DB)]
_PEOPLE += [(0x1F9DD, 0x1F9DF), (0x1FAC5, 0x1FAC5)]
# What can be joined to a person: signs of sex, professions, hair.
_JOINED = [(0x2640, 0x2642), (0x2695, 0x2696), (0x2708, 0x2708), (0x1F33E, 0x1F33E), (0x1F373, 0x1F373)]
_JOINED += [(0x1F384, 0x1F384), (0x1F393, 0x1F393), (0x1F3A4, 0x1F3A4), (0x1F3A8, 0x1F3A8), (0x1F3EB, 0x1F3EB)]
_JOINED += [(0x1F3ED, 0x1F3ED), (0x1F4BB, 0x1F4BC), (0x1F527, 0x1F52C), (0x1F680, 0x1F692), (0x1F9B0, 0x1F9B3)]

_HANDS = [(0x261D, 0x261D), (0x270A, 0x270D), (0x1F446, 0x1F450), (0x1F4AA, 0x1F4AA), (0x1F590, 0x1F590)]
_HANDS += [(0x1F595, 0x1F596), (0x1F64C, 0x1F64C), (0x1F64F, 0x1F64F), (0x1F90C, 0x1F90C), (0x1F90F, 0x1F90F)]
_HANDS += [(0x1F918, 0x1F91F), (0x1F932, 0x1F933), (0x1FAF0, 0x1FAF8)]

_ANIMALS = [(0x1F400, 0x1F43F), (0x1F54A, 0x1F54A), (0x1F577, 0x1F577), (0x1F638, 0x1F640), (0x1F648, 0x1F64A)]
_ANIMALS += [(0x1F980, 0x1F9AE), (0x1FAB0, 0x1FAB3), (0x1FABC, 0x1FABF), (0x1FACD, 0x1FACF)]

_FOOD = [(0x1F32D, 0x1F330), (0x1F336, 0x1F336), (0x1F33D, 0x1F33D), (0x1F345, 0x1F37F), (0x1F950, 0x1F96F)]
_FOOD += [(0x1F9C0, 0x1F9CB), (0x1FAD0, 0x1FADF), (0x2615, 0x2615)]

# Single code points in no group: whole bodies and families, letters and digits.
_LEFT_OUT = [(0x00, 0xFF), (0x1F1E6, 0x1F1FF), (0x1F3C2, 0x1F3C4), (0x1F3C7, 0x1F3C7), (0x1F3CA, 0x1F3CC)]
_LEFT_OUT += [(0x1F46A, 0x1F46D), (0x1F46F, 0x1F46F), (0x1F472, 0x1F472), (0x1F476, 0x1F476), (0x1F47C, 0x1F47C)]
_LEFT_OUT += [(0x1F483, 0x1F483), (0x1F574, 0x1F574), (0x1F57A, 0x1F57A), (0x1F647, 0x1F647), (0x1F6A3, 0x1F6A3)]
_LEFT_OUT += [(0x1F6B4, 0x1F6B6), (0x1F930, 0x1F931), (0x1F938, 0x1F93E), (0x1F9CC, 0x1F9CF)]
_LEFT_OUT += [(0x1F9D7, 0x1F9D8), (0x1F9DC, 0x1F9DC), (0x1FAC3, 0x1FAC4)]
# fmt: on


@frozen
class Group:
    """One class of drawings.

    All drawings of a group are shown at the same scale: a square of `side` design units, centred at `(36, y)` in the
    design square of 72 units (a round face has a diameter of 48).
    """

    name: str
    y: float = 36.0
    side: float = 72.0


GROUPS = (
    Group("faces", side=55),
    Group("people", y=32.5, side=59),
    Group("flags", side=68),
    Group("hands", side=66),
    Group("animals", side=66),
    Group("food", side=66),
    Group("objects", side=68),
)
DEFAULT_GROUPS = ("faces", "people", "flags")


def base(codes: Sequence[int]) -> tuple[int, ...]:
    """The sequence without skin tones and presentation selectors, which all variants of a drawing share."""
    return tuple(code for code in codes if code not in TONES and code != PRESENTATION)


def group_of(codes: Sequence[int]) -> str | None:
    """Name of the group of a code-point sequence, or `None` if it belongs to none.

    Example:
        >>> group_of([0x1F600]), group_of([0x1F468, 0x1F3FD, 0x200D, 0x1F692]), group_of([0x41])
        ('faces', 'people', None)
    """
    key = base(codes)
    if not key or any(code in PRIVATE for code in key):
        return None
    if len(key) == 2 and all(code in REGIONAL for code in key):
        return "flags"
    if key[0] == FLAG_TAGGED and len(key) > 2 and all(code in TAGS or code == 0xE007F for code in key[1:]):
        return "flags"
    first, joined = key[0], key[1:]
    if joined and (len(joined) != 2 or joined[0] != JOINER):
        return None
    if _within(first, _PEOPLE) and (not joined or _within(joined[1], _JOINED)):
        return "people"
    if joined:
        return None
    for name, ranges in (("faces", _FACES), ("hands", _HANDS), ("animals", _ANIMALS), ("food", _FOOD)):
        if _within(first, ranges):
            return name
    return None if _within(first, _PEOPLE) or _within(first, _LEFT_OUT) else "objects"


def _within(code: int, ranges: Sequence[tuple[int, int]]) -> bool:
    return any(low <= code <= high for low, high in ranges)
