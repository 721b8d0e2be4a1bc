"""Figures as they are shown and stored."""

from __future__ import annotations

from ddmi_core.evaluation.results import Evaluation, Figure, SamplerFigure

FIGURES = (
    Figure("reconstruction_psnr_db", 24.1234567, {}),
    Figure("reconstruction_ssim", 0.9, {}, interval=(0.85, 0.95)),
    Figure("reconstruction_error", 0.001234567, {}),
    Figure("frechet_held_out_to_training", 2.5, {"samples": 16}),
    Figure("frechet_samples_to_training", 12345.678, {}),
)
ROWS = (SamplerFigure("dpmpp_2m", 8, 8, 1.25, 3.14159), SamplerFigure("ddim", 200, 200, 31.0, 12.5))


def test_figures_are_shown_with_units_and_what_is_better_and_samplers_in_columns():
    assert Evaluation(FIGURES, ROWS).lines() == [
        "reconstruction_psnr_db        24.12 dB   reconstructions of held-out signals; higher is better",
        "reconstruction_ssim           0.9        reconstructions of held-out signals; higher is better",
        "reconstruction_error          0.001235   reconstructions of held-out signals; lower is better",
        "frechet_held_out_to_training  2.5        distance of held-out signals to the training signals: the reference",
        "frechet_samples_to_training   1.235e+04  distance of samples to the training signals; lower is better",
        "",
        "sampler   steps  evaluations  seconds  distance",
        "dpmpp_2m      8            8      1.2     3.142",
        "ddim        200          200     31.0      12.5",
    ]


def test_without_samplers_there_is_no_table():
    assert len(Evaluation(FIGURES[:1], ()).lines()) == 1


def test_what_is_saved_is_what_is_loaded(tmp_path):
    result = Evaluation(FIGURES, ROWS)
    result.save(tmp_path / "metrics.json")
    assert Evaluation.load(tmp_path / "metrics.json") == result
