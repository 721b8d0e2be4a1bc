"""Prompt adherence: whether sampled cars have the attributes that their prompts name."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ddmi_core.api import Field, Figure, Split, Trained
from ddmi_core.parts import measurable_captions, prompt_adherence_figures
from ddmi_nerf.data.cars.parameters import COLOURS, KINDS
from ddmi_nerf.evaluation.car_attributes import Attributes, measure
from ddmi_nerf.rendering.renderer import renderer_of

PROMPTS = 100
MEASURED_RIGHT = "stripe 92 of 94, all other attributes of 250 cars"  # examples/measured_cars.py

_COLOUR = "|".join(COLOURS)
_NAMED = re.compile(rf"\b(?:({_COLOUR}) )?({'|'.join(KINDS)})\b")
_COLOURED = {
    "second_colour": re.compile(rf"\b({_COLOUR}) (?:cabin|box|roof)\b"),
    "stripe": re.compile(rf"\b({_COLOUR}) stripe\b"),
}
_FITTINGS = {
    "spoiler": re.compile(r"\bspoiler\b"),
    "roof_rack": re.compile(r"\broof rack\b"),
    "spare_wheel": re.compile(r"\bspare wheel\b"),
    "closed_sides": re.compile(r"\bclosed sides\b"),
}


def prompt_adherence(model: Trained, split: Split, count: int, seed: int) -> Sequence[Figure]:
    """Share of the attributes named in captions of held-out cars that samples have, in total and by attribute.

    Without a text condition, or for other data than the procedural cars, nothing is measured: the measurement relies on
    the outlines, paints and lighting of these cars.
    """
    if split.held_out.classes != KINDS:
        return []
    renderer = renderer_of(model)

    def holds(text: str, field: Field) -> dict[str, bool]:
        return matches(text, measure(renderer.scene(field)))

    asked = measurable_captions(split, lambda text: bool(named_attributes(text)), PROMPTS)
    return prompt_adherence_figures(
        model,
        asked,
        holds,
        seed,
        {"measured": "outline, fittings, and paint without light", "right on true cars": MEASURED_RIGHT},
    )


def named_attributes(text: str) -> dict[str, str | bool]:
    """Attributes that a sentence names, and their values; empty without a kind of car.

    Example:
        >>> named_attributes("a red van with a white cabin, a roof rack and closed sides")
        {'kind': 'van', 'colour': 'red', 'second_colour': 'white', 'roof_rack': True, 'closed_sides': True}
    """
    text = text.lower()
    found = _NAMED.search(text)
    if not found:
        return {}
    colour, kind = found.groups()
    named: dict[str, str | bool] = {"kind": kind}
    if colour:
        named["colour"] = colour
    named |= {name: match[1] for name, pattern in _COLOURED.items() if (match := pattern.search(text))}
    return named | {name: True for name, pattern in _FITTINGS.items() if pattern.search(text)}


def matches(text: str, found: Attributes) -> dict[str, bool]:
    """For each attribute that a sentence names, whether a car has it."""
    return {name: getattr(found, name) == value for name, value in named_attributes(text).items()}
