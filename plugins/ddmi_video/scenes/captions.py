"""Captions of procedural scenes, built from the attributes that generated them."""

from __future__ import annotations

from collections.abc import Sequence

NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
DIRECTIONS = {
    "left": "to the left",
    "right": "to the right",
    "nearer": "towards us",
    "away": "away from us",
    "opposite": "in opposite directions",
}
PACES = {"slow": "slowly", "medium": "", "fast": "quickly"}
WAYS = {"across": "from side to side", "up and down": "up and down", "slanting": "on a slanting way"}


def sky_captions(hour: str, wind: str, cover: str, speed: str, tint: str, moon: str, stars: bool) -> tuple[str, ...]:
    """Captions of a sky.

    Args:
        hour: time of day, the class.
        wind: direction of the clouds.
        cover: amount of clouds.
        speed: speed of the nearest layer.
        tint: colour of a low sun, or an empty string.
        moon: `full`, `crescent`, or an empty string.
        stars: whether there are stars.
    """
    amount = {"few": "a few clouds", "some": "clouds", "thick": "thick clouds"}[cover]
    drift = f"drift {DIRECTIONS[wind]}"
    quick = _joined("drift", PACES[speed], DIRECTIONS[wind])
    if hour == "day":
        white = amount.replace("clouds", "white clouds")
        return ("clouds by day", f"{white} {drift} over a blue sky", f"{white} {quick} over dark hills by day")
    if hour == "night":
        lights = " and ".join([f"a {moon} moon"] * bool(moon) + ["stars"] * stars)
        return ("clouds by night", f"{lights} in the night, {amount} {drift}", f"{lights} and {amount} that {quick}")
    sun = "sets behind" if hour == "sunset" else "rises over"
    return (
        f"clouds at {hour}",
        f"{_article(tint)} {tint} {hour}, {amount} {drift}",
        f"the sun {sun} dark hills, {amount} {quick}",
    )


def digit_captions(shown: Sequence[tuple[str, int]], back: str, way: str, pace: str) -> tuple[str, ...]:
    """Captions of moving digits.

    Args:
        shown: colour and digit of each, front to back.
        back: colour of the background.
        way: direction of motion.
        pace: speed.
    """
    words = [f"{ink} {NUMBERS[digit]}" for ink, digit in shown]
    listed = " and ".join(f"{_article(word)} {word}" for word in words)
    verb = "bounces" if len(shown) == 1 else "bounce"
    first = "a digit bounces" if len(shown) == 1 else "two digits bounce"
    values = " and ".join(NUMBERS[digit] for _, digit in shown)
    number = f"the number {values}" if len(shown) == 1 else f"the numbers {values}"
    full = _joined(listed, verb, PACES[pace], WAYS[way], "on", back)
    return (first, f"{listed} {verb} on {back}", _joined(number, verb, PACES[pace], WAYS[way]), full)


def ball_captions(inks: Sequence[str], wall: str, floor: str, pace: str, height: str) -> tuple[str, ...]:
    """Captions of bouncing balls.

    Args:
        inks: colour of each ball, nearest first.
        wall: colour of the wall.
        floor: kind of floor.
        pace: horizontal speed.
        height: height of the bounces, `low` or `high`.
    """
    listed = " and ".join(f"{_article(ink)} {ink} ball" for ink in inks)
    verb = "bounces" if len(inks) == 1 else "bounce"
    return (
        "a ball bounces" if len(inks) == 1 else "two balls bounce",
        f"{listed} {verb} in front of a {wall} wall",
        f"{listed} {verb} {height} on {_article(floor)} {floor} floor",
        f"{listed} {_joined(verb, height, 'and', PACES[pace])} in front of a {wall} wall",
    )


def _article(word: str) -> str:
    return "an" if word[0] in "aeiou" else "a"


def _joined(*words: str) -> str:
    return " ".join(filter(None, words))
