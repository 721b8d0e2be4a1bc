"""What a sentence says of a piece of furniture, and whether a shape agrees."""

from __future__ import annotations

import re
from collections.abc import Callable

from ddmi_occupancy.furniture.attributes import Attributes
from ddmi_occupancy.furniture.parameters import CLASSES

# Height over the longer of width and depth: up to the first a piece is called low, from the second on tall.
# A shape counts as low below the middle of the two, and as tall above.
STATURE = {"chair": (1.25, 1.65), "table": (0.46, 0.72), "stool": (0.92, 1.4), "shelf": (0.75, 1.5)}
NUMBERS = ("no", "one", "two", "three", "four", "five", "six")

_NUMBER = "|".join(NUMBERS[2:])
Holds = Callable[[Attributes], bool]

# Patterns, the first of a group decides, and what they claim. Words that cannot be measured claim nothing.
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


def agreement(text: str, found: Attributes) -> dict[str, bool]:
    """For each property that a sentence names, whether a shape has it.

    Args:
        text: a sentence as `captions` makes them; other words are passed over.
        found: what was measured on the shape.

    Returns:
        names of properties with whether they hold; empty where the sentence says nothing that can be measured.

    Example:
        >>> from ddmi_occupancy.furniture.attributes import EMPTY
        >>> agreement("a low round table with three legs", EMPTY)
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
