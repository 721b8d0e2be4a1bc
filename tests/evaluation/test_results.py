"""Figures as they are shown and stored."""

from __future__ import annotations

from math import isnan

from ddmi_core.evaluation.results import Evaluation, Figure, SamplerFigure

FIGURES = (
    Figure("reconstruction_psnr_db", 24.1234567, {}),
    Figure("reconstruction_ssim", 0.9, {}, interval=(0.85, 0.95)),
    Figure("reconstruction_error", 0.001234567, {}),
    Figure("kid_plain", -0.00123, {"n": 16}, "lower is better", (-0.01, 0.0123456)),
    Figure("frechet_plain", 12345.678, {}, "lower is better"),
    Figure("frechet_plain_of_real", 2.5, {"n": 16}),
    Figure("share_of_real", 0.5, {}, "of a domain"),
)
HELD_OUT = "reconstructions of held-out signals"
ROWS = (SamplerFigure("dpmpp_2m", 8, 8, 1.25, 3.14159), SamplerFigure("ddim", 200, 200, 31.0, 12.5))


def test_figures_are_shown_with_intervals_what_real_data_score_and_what_is_better_and_samplers_in_columns():
    assert Evaluation(FIGURES, ROWS, ("not followed",)).lines() == [
        "figure                  value      95 % interval    real data  meaning",
        f"reconstruction_psnr_db  24.12 dB                               {HELD_OUT}; higher is better",
        f"reconstruction_ssim     0.9        0.85 to 0.95                {HELD_OUT}; higher is better",
        f"reconstruction_error    0.001235                               {HELD_OUT}; lower is better",
        "kid_plain               -0.00123   -0.01 to 0.0123             lower is better",
        "frechet_plain           1.235e+04                   2.5        lower is better",
        "share_of_real           0.5                                    of a domain",
        "",
        "sampler   steps  evaluations  seconds  distance",
        "dpmpp_2m      8            8      1.2     3.142",
        "ddim        200          200     31.0      12.5",
        "",
        "note: not followed",
    ]


def test_figures_without_intervals_and_real_data_have_three_columns():
    assert Evaluation(FIGURES[:1]).lines() == [f"reconstruction_psnr_db  24.12 dB  {HELD_OUT}; higher is better"]


def test_what_is_saved_is_what_is_loaded(tmp_path):
    result = Evaluation(FIGURES, ROWS, ("not followed",))
    result.save(tmp_path / "metrics.json")
    assert Evaluation.load(tmp_path / "metrics.json") == result


def test_a_figure_that_is_no_number_is_kept(tmp_path):
    figure = Figure("psnr_db", float("nan"), {"n": 1})
    Evaluation((figure,)).save(tmp_path / "metrics.json")
    (found,) = Evaluation.load(tmp_path / "metrics.json").figures
    assert isnan(found.value)
