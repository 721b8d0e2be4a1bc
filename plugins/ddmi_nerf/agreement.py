"""Whether cars have the kind and the colour that the text that they were asked for with says."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ddmi_core.api import Field, Figure, Split, Trained
from ddmi_core.parts import measurable_captions, prompt_adherence_figures
from ddmi_nerf.car_attributes import Attributes, measure
from ddmi_nerf.cars.colours import COLOURS
from ddmi_nerf.cars.parameters import KINDS
from ddmi_nerf.rendering import NerfRenderer

PROMPTS = 60
MEASURED_RIGHT = "kind 200 of 200, colour 196 of 200"  # examples/measured_cars.py

_KIND = "|".join(KINDS)
_NAMED = re.compile(rf"\b(?:({'|'.join(COLOURS)}) )?({_KIND})\b")


def prompt_adherence(model: Trained, split: Split, count: int, seed: int) -> Sequence[Figure]:
    """Share of the kinds and colours named in captions of held-out cars that samples have.

    Nothing is measured without a text condition, or on other data than the cars that this plugin makes: what measures
    kinds and colours knows their outlines, paints and light.
    """
    if split.held_out.classes != KINDS:
        return []
    renderer = model.renderer
    assert isinstance(renderer, NerfRenderer)

    def holds(text: str, field: Field) -> dict[str, bool]:
        return agreement(text, measure(renderer.scene(field)))

    asked = measurable_captions(split, lambda text: bool(named(text)), PROMPTS)
    return prompt_adherence_figures(
        model,
        asked,
        holds,
        seed,
        {"measured": "outline, and paint of the body without light", "right on true cars": MEASURED_RIGHT},
    )


def named(text: str) -> dict[str, str]:
    """The kind that a sentence names, and the colour of the body if it does.

    Example:
        >>> named("a red van with a white cabin"), named("a pick-up")
        ({'kind': 'van', 'colour': 'red'}, {'kind': 'pick-up'})
    """
    found = _NAMED.search(text.lower())
    if not found:
        return {}
    colour, kind = found.groups()
    return {"kind": kind, "colour": colour} if colour else {"kind": kind}


def agreement(text: str, found: Attributes) -> dict[str, bool]:
    """For each property that a sentence names, whether a car has it."""
    return {name: getattr(found, name) == value for name, value in named(text).items()}
