"""Whether shapes have what the text that they were asked for with says, against shapes that nobody asked for."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ddmi_core.api import Field, Figure, Split, Trained
from ddmi_core.parts import cell_centres, measurable_captions, prompt_adherence_figures
from ddmi_occupancy.furniture.agreement import agreement
from ddmi_occupancy.furniture.attributes import EMPTY, Grid, measure

PROMPTS = 100
CELLS = 64


def prompt_adherence(model: Trained, split: Split, count: int, seed: int) -> Sequence[Figure]:
    """Share of the properties named in captions of held-out shapes that samples have, by property and over all.

    Nothing is measured without a text condition, or where captions name nothing that can be measured.
    """
    return prompt_adherence_figures(model, prompts(split), _holds, seed, {"cells": CELLS})


def prompts(split: Split) -> list[str]:
    """Different captions of held-out shapes that name something measurable, in an order that depends on no other."""
    return measurable_captions(split, lambda text: bool(agreement(text, EMPTY)), PROMPTS)


def occupied(field: Field) -> Grid:
    """Where a field is inside, on a grid `(z, y, x)`."""
    axes = (cell_centres(CELLS),) * 3
    slabs = [values[..., 0] > 0 for _, values in field.lattice(axes).slabs()]
    return torch.cat(slabs).cpu().numpy()


def _holds(text: str, field: Field) -> dict[str, bool]:
    return agreement(text, measure(occupied(field)))
