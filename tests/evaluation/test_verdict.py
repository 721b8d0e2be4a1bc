"""Sentences on what a model is good and bad at, against figures whose verdict is known."""

from __future__ import annotations

import math

import pytest

from ddmi_core.api.evaluation import Figure
from ddmi_core.evaluation.verdict import copying_sentence, verdict

LOWER, HIGHER = "distance; lower is better", "share; higher is better"
WORSE, AS_GOOD = "Samples are worse than real signals in", "Samples are not measurably worse than real signals in"


def compared(value: float, real: float, about: str, interval: tuple[float, float] | None = None) -> str:
    """The verdict on one figure, of a name that the core does not know."""
    figures = [Figure("glow", value, {}, about, interval), Figure("glow_of_real", real, {}, "of real signals")]
    (sentence,) = verdict(figures)
    return sentence


@pytest.mark.parametrize(
    ("value", "real", "about", "interval", "begin"),
    [
        (3.0, 1.0, LOWER, (2.0, 4.0), WORSE),
        (3.0, 1.0, LOWER, (0.9, 5.0), AS_GOOD),
        (0.5, 1.0, LOWER, (0.4, 0.6), AS_GOOD),
        (0.2, 0.9, HIGHER, (0.1, 0.3), WORSE),
        (0.9, 0.2, HIGHER, (0.8, 0.95), AS_GOOD),
        (1.3, 1.0, LOWER, None, WORSE),
        (1.05, 1.0, LOWER, None, AS_GOOD),
        (0.7, 1.0, HIGHER, None, WORSE),
        (math.nan, 1.0, LOWER, None, WORSE),
        (math.nan, 1.0, HIGHER, None, WORSE),
    ],
)
def test_samples_are_worse_only_beyond_the_interval_or_the_margin(value, real, about, interval, begin):
    assert compared(value, real, about, interval).startswith(f"{begin} glow {value:.4g} (real {real:.4g})")


def test_figures_without_direction_or_real_value_are_not_judged():
    assert verdict([Figure("glow", 3.0, {}, "0.5 is best"), Figure("glow_of_real", 1.0, {})]) == []
    assert verdict([Figure("glow", 3.0, {}, LOWER)]) == []
    assert verdict([]) == []


@pytest.mark.parametrize(
    ("value", "interval", "phrase"),
    [
        (0.0, (0.0, 0.1), "nearer to the training signals"),
        (0.54, (0.41, 0.68), "nearer to the training signals"),
        (0.95, (0.84, 1.05), "about as far"),
        (1.8, (1.5, 2.2), "as poor samples are too"),
        (0.5, None, "nearer to the training signals"),
    ],
)
def test_copies_are_named_with_their_figure(value, interval, phrase):
    figures = [Figure("copying_plain", value, {}, "0 for copies", interval)]
    sentence = copying_sentence(figures)
    assert phrase in sentence
    assert f"copying_plain {value:.4g}; 1 for held-out signals" in sentence
    assert verdict(figures) == [sentence]


def test_texts_that_do_not_help_are_said_to_have_no_effect():
    useful, useless = (
        Figure(name, value, {"without the text": 0.3}) for name, value in (("shade", 0.9), ("size", 0.3))
    )
    assert verdict([useful, useless]) == [
        "Texts have a measured effect: shade 0.9 (0.3 without the text).",
        "Texts have no measured effect: size 0.3 (0.3 without the text).",
    ]


def test_reconstructions_are_given_with_their_values_but_not_distances_of_sets():
    figures = [Figure("reconstruction_psnr_db", 28.4, {}), Figure("reconstruction_frechet_plain", 0.1, {}, LOWER)]
    assert verdict(figures) == ["Reconstructions of held-out signals: psnr_db 28.4 dB."]
