"""Whether shapes have what the text that they were asked for with says, against shapes that nobody asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from ddmi_core.api import Field, Figure, Split, Trained
from ddmi_core.parts import cell_centres, stable_share
from ddmi_occupancy.furniture.agreement import agreement
from ddmi_occupancy.furniture.attributes import EMPTY, Grid, measure

PROMPTS = 100
CELLS = 64


def text_agreement(model: Trained, split: Split, count: int, seed: int) -> Sequence[Figure]:
    """Share of the properties named in captions of held-out shapes that samples have, by property and over all.

    Nothing is measured without a text condition, or where captions name nothing that can be measured.
    """
    asked = prompts(split)
    if model.condition is None or not asked:
        return []
    drawn = (model.sample(1, seed=seed + number, condition=text) for number, text in enumerate(asked))
    unasked = iter(model.sample(len(asked), seed=seed))
    right, chance = list(_rows(asked, drawn)), list(_rows(asked, unasked))
    protocol = {"prompts": len(asked), "of": "captions of held-out signals", "seed": seed, "cells": CELLS}
    figures = [_figure("text_agreement", [value for _, value in right], [value for _, value in chance], protocol)]
    for name in dict.fromkeys(name for name, _ in right):
        own, other = ([value for key, value in rows if key == name] for rows in (right, chance))
        figures.append(_figure(f"text_agreement_{name}", own, other, protocol))
    return figures


def prompts(split: Split) -> list[str]:
    """Different captions of held-out shapes that name something measurable, in an order that depends on no other."""
    captions = {text for sentences in split.held_out.captions for text in sentences if agreement(text, EMPTY)}
    return sorted(captions, key=stable_share)[:PROMPTS]


def occupied(field: Field) -> Grid:
    """Where a field is inside, on a grid `(z, y, x)`."""
    axes = (cell_centres(CELLS),) * 3
    slabs = [values[..., 0] > 0 for _, values in field.lattice(axes).slabs()]
    return torch.cat(slabs).cpu().numpy()


def _rows(asked: Sequence[str], fields: Iterator[Field]) -> Iterator[tuple[str, bool]]:
    """Each property that a text names, with whether the field has it."""
    for text, field in zip(asked, fields, strict=True):
        yield from agreement(text, measure(occupied(field))).items()


def _figure(name: str, right: Sequence[bool], chance: Sequence[bool], protocol: dict[str, object]) -> Figure:
    about = f"named properties that samples have; without the text {np.mean(chance):.2f}; higher is better"
    named = {"named": len(right), "without the text": float(np.mean(chance))}
    return Figure(name, float(np.mean(right)), {**protocol, **named}, about)
