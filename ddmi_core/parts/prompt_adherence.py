"""Whether samples have what the text that they were asked for with says, against samples that nobody asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ddmi_core.api.evaluation import Figure, Trained
from ddmi_core.api.signals import Split
from ddmi_core.fields.field import Field
from ddmi_core.sources.splits import stable_share

Holds = Callable[[str, Field], Mapping[str, bool]]


def measurable_captions(split: Split, measurable: Callable[[str], bool], most: int) -> list[str]:
    """Different captions of held-out signals that name something measurable, in an order that depends on no other."""
    captions = {text for sentences in split.held_out.captions for text in sentences if measurable(text)}
    return sorted(captions, key=stable_share)[:most]


def prompt_adherence_figures(
    model: Trained, prompts: Sequence[str], holds: Holds, seed: int, protocol: Mapping[str, Any]
) -> list[Figure]:
    """Share of the properties named in prompts that samples have, over all and by property.

    The protocols give that of samples without a condition. Nothing is measured without a condition or a prompt.

    Args:
        model: prompt number i is asked for with the seed `seed + i`.
        prompts: texts.
        holds: function of a prompt and a field (B = 1) that gives, for each property that the prompt names, whether
            the field has it.
        seed: of the samples.
        protocol: how properties are measured.
    """
    if model.condition is None or not prompts:
        return []
    drawn = (model.sample(1, seed=seed + number, condition=text) for number, text in enumerate(prompts))
    right = _rows(prompts, drawn, holds)
    chance = _rows(prompts, model.sample(len(prompts), seed=seed), holds)
    whole = {"prompts": len(prompts), "of": "captions of held-out signals", "seed": seed, **protocol}
    figures = [_figure("prompt_adherence", right, chance, whole)]
    for name in dict.fromkeys(name for name, _ in right):
        own, other = ([row for row in rows if row[0] == name] for rows in (right, chance))
        figures.append(_figure(f"prompt_adherence_{name}", own, other, whole))
    return figures


def _rows(prompts: Sequence[str], fields: Iterable[Field], holds: Holds) -> list[tuple[str, bool]]:
    """Each property that a prompt names, with whether the field has it."""
    return [row for text, field in zip(prompts, fields, strict=True) for row in holds(text, field).items()]


def _figure(
    name: str, right: Sequence[tuple[str, bool]], chance: Sequence[tuple[str, bool]], protocol: Mapping[str, Any]
) -> Figure:
    share, unasked = (sum(held for _, held in rows) / len(rows) for rows in (right, chance))
    about = f"named properties that samples have; without the text {unasked:.2f}; higher is better"
    return Figure(name, share, {**protocol, "named": len(right), "without the text": unasked}, about)
