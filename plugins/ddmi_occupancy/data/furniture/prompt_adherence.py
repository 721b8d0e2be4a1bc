"""Properties that a caption names, and whether the measured attributes of a shape match them."""

from __future__ import annotations

import re
from collections.abc import Callable

from ddmi_occupancy.data.furniture.attributes import Attributes
from ddmi_occupancy.data.furniture.parameters import CLASSES

# Ratio of height to the longer of width and depth: captions say "low" up to the first number, "tall" from the second.
# A shape counts as low below the mean of the two, and as tall above it.
STATURE = {"chair": (1.25, 1.65), "table": (0.46, 0.72), "stool": (0.92, 1.4), "shelf": (0.75, 1.5)}
NUMBERS = ("no", "one", "two", "three", "four", "five", "six")

_NUMBER = "|".join(NUMBERS[2:])
Holds = Callable[[Attributes], bool]

# For each property, patterns and the claims that they make; the first pattern found decides.
CLAIMS: dict[str, tuple[tuple[str, Holds], ...]] = {
    "legs": (
        (r"(one central leg|pedestal|single column)", lambda found: found.legs == 1),
        (r"(two side panels|walls for legs)", lambda found: found.panels),
    ),
    "top": (
        (r"\bround (table|stool|seat|top)", lambda found: found.round),
        (r"square (table|stool|seat|top)", lambda found: found.square),
        (r"rectangular (table|seat|top)", lambda found: found.long and not found.round),
    ),
    "back": (
        (r"no back", lambda found: not found.back),
        (r"(?<!open )(?<!closed )\bback\b", lambda found: found.back),
    ),
    "arms": (
        (r"no arm(s|rests)", lambda found: not found.arms),
        (r"arm(s|rests)", lambda found: found.arms),
    ),
    "lower": ((r"(lower|second) board", lambda found: found.lower),),
    "closed": (
        (r"(open back|no wall behind)", lambda found: not found.closed),
        (r"(closed back|wall behind)", lambda found: found.closed),
    ),
    "divided": ((r"(wall in the middle|divider)", lambda found: found.divided),),
    "sides": (
        (r"\bposts\b", lambda found: not found.panels),
        (r"closed sides", lambda found: found.panels),
    ),
}


def adherence(text: str, found: Attributes) -> dict[str, bool]:
    """Whether a shape has the properties that a caption names.

    Args:
        text: a caption in the words of `captions`; other words are ignored.
        found: measured attributes of the shape.

    Returns:
        property names, and whether the shape has them; empty if the caption names nothing measurable.

    Example:
        >>> from ddmi_occupancy.data.furniture.attributes import EMPTY
        >>> adherence("a low round table with three legs", EMPTY)
        {'legs': False, 'top': False, 'stature': True}
    """
    text = text.lower()
    result = {}
    for name, claims in CLAIMS.items():
        for pattern, holds in claims:
            if re.search(pattern, text):
                result[name] = holds(found)
                break
    for name in ("legs", "boards"):
        if match := re.search(rf"\b({_NUMBER}) (\w+ )?{name}\b", text):
            result[name] = getattr(found, name) == NUMBERS.index(match[1])
    kind = next((kind for kind in CLASSES if re.search(rf"\b{kind}\b", text)), "")
    if kind in STATURE and (match := re.search(r"\b(low|tall)\b", text)):
        middle = sum(STATURE[kind]) / 2
        result["stature"] = found.proportion < middle if match[1] == "low" else found.proportion > middle
    return result
