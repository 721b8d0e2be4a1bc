"""Prompt adherence: whether samples have the properties that their prompts name."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ddmi_core.api import Field, Figure, Split, Trained
from ddmi_core.parts import cell_centres, measurable_captions, prompt_adherence_figures
from ddmi_occupancy.data.furniture.attributes import EMPTY, Grid, measure
from ddmi_occupancy.data.furniture.prompt_adherence import adherence

PROMPTS = 100  # captions, at most
CELLS = 64  # along each axis, on which attributes are measured


def prompt_adherence(model: Trained, split: Split, count: int, seed: int) -> Sequence[Figure]:
    """Share of the properties named by captions of held-out shapes that samples have, per property and overall.

    Compared with unconditional samples. No figures without a text condition or without measurable captions.
    """
    return prompt_adherence_figures(model, prompts(split), _holds, seed, {"cells": CELLS})


def prompts(split: Split) -> list[str]:
    """Distinct captions of held-out shapes that name measurable properties, in a stable order."""
    return measurable_captions(split, lambda text: bool(adherence(text, EMPTY)), PROMPTS)


def occupied(field: Field) -> Grid:
    """Whether the centres of cells are inside of a field: `(CELLS, CELLS, CELLS)`, axes z, y, x."""
    axes = (cell_centres(CELLS),) * 3
    slabs = [values[..., 0] > 0 for _, values in field.lattice(axes).slabs()]
    return torch.cat(slabs).cpu().numpy()


def _holds(text: str, field: Field) -> dict[str, bool]:
    return adherence(text, measure(occupied(field)))
