"""Prompt adherence, compared with unconditional samples."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ddmi_core.api.evaluation import Figure, Trained
from ddmi_core.api.signals import Split
from ddmi_core.fields.field import Field
from ddmi_core.sources.splits import stable_share

Holds = Callable[[str, Field], Mapping[str, bool]]


def measurable_captions(split: Split, measurable: Callable[[str], bool], most: int) -> list[str]:
    """Distinct captions of held-out signals that name something measurable, in a stable order by hash."""
    captions = {text for sentences in split.held_out.captions for text in sentences if measurable(text)}
    return sorted(captions, key=stable_share)[:most]


def prompt_adherence_figures(
    model: Trained, prompts: Sequence[str], holds: Holds, seed: int, protocol: Mapping[str, Any]
) -> list[Figure]:
    """Share of the properties named in prompts that the samples have, in total and by property.

    The protocols contain the share of unconditional samples. The list is empty without a condition or a prompt.

    Args:
        model: prompt number i is sampled with the seed `seed + i`.
        prompts: texts.
        holds: function of a prompt and a field (B = 1) that returns, for each property named in the prompt, whether
            the field has it.
        seed: of the samples.
        protocol: how properties are measured.
    """
    if model.condition is None or not prompts:
        return []
    drawn = (model.sample(1, seed=seed + number, condition=text) for number, text in enumerate(prompts))
    right = _rows(prompts, drawn, holds)
    parts = model.sample_parts(len(prompts), seed=seed)
    chance = _rows(prompts, (field for fields in parts for field in fields), holds)
    whole = {"n": len(prompts), "reference": "captions of held-out signals", "seed": seed, **protocol}
    figures = [_figure("prompt_adherence", right, chance, whole)]
    for name in dict.fromkeys(name for name, _ in right):
        own, other = ([row for row in rows if row[0] == name] for rows in (right, chance))
        figures.append(_figure(f"prompt_adherence_{name}", own, other, whole))
    return figures


def _rows(prompts: Sequence[str], fields: Iterable[Field], holds: Holds) -> list[tuple[str, bool]]:
    """Each property named in a prompt, with whether the field has it."""
    return [row for text, field in zip(prompts, fields, strict=True) for row in holds(text, field).items()]


def _figure(
    name: str, right: Sequence[tuple[str, bool]], chance: Sequence[tuple[str, bool]], protocol: Mapping[str, Any]
) -> Figure:
    share, base = (sum(held for _, held in rows) / len(rows) for rows in (right, chance))
    about = f"share of requested properties that samples have; {base:.2f} without the prompt; higher is better"
    return Figure(name, share, {**protocol, "named": len(right), "without the text": base}, about)
