"""Studies: their files, their statistics, and a whole study that is interrupted and continued."""

from __future__ import annotations

import sys
from math import isnan
from pathlib import Path

import pytest
from scipy.stats import ttest_1samp

import preloaded
from ddmi_core.registry.registry import domain_named
from ddmi_core.settings.resolve import resolve

STUDIES = Path(__file__).parents[2] / "studies"
sys.path.insert(0, str(STUDIES))
import page  # noqa: E402
import study as studies  # noqa: E402
from over_seeds import difference, estimate, ratio  # noqa: E402
from results import Results, Trial  # noqa: E402

FILES = sorted(STUDIES.glob("*.toml"))
TINY = """
title = "Two targets"
question = "Which is better?"
plugin = "image"
seconds = 0.2
seeds = [0, 1]
figures = { reconstruction_psnr_db = "higher is better", frechet_plain = "lower is better" }
settings = [
    "domain.limit=60", "domain.size=16", "domain.multiples=[1]", "autoencoder.points=64", "evaluation.samples=4",
    "autoencoder.perceptual.kind=none", "autoencoder.encoder.widths=[8]", "autoencoder.decoder.widths=[8]",
    "autoencoder.decoder.basis=[8]", "autoencoder.training.batch=2", "diffusion.training.batch=2",
    "diffusion.denoiser.width=16", "diffusion.denoiser.multipliers=[1]", "evaluation.held_out=4", "sampling.count=2",
    "autoencoder.training.precision=fp32", "diffusion.training.precision=fp32", "sampling.steps=2",
]

[arms.plain]
about = "As it is."

[arms.data]
about = "Another target."
settings = ["diffusion.target=data"]
"""


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_study_has_settings_that_exist(path: Path) -> None:
    study = studies.read(path)
    for arm in study.arms:
        config = resolve(domain_named(study.plugin), preset=study.preset, overrides=study.overrides(arm))
        assert "auto" not in (config.autoencoder.training.precision, config.diffusion.training.precision)


@pytest.mark.parametrize("stored", sorted(STUDIES.glob("*.json")), ids=lambda path: path.stem)
def test_every_page_is_made_from_its_stored_figures(stored: Path) -> None:
    study, results, name = studies.read(stored.with_suffix(".toml")), Results.load(stored), stored.stem
    pages = STUDIES.parent / "docs" / "results"
    assert (pages / f"{name}.md").read_text(encoding="utf-8") == page.text(study, results, name)
    assert (pages / f"{name}.svg").read_text(encoding="utf-8") == page.plot(study, results)
    for arm in study.arms:
        assert [trial.seed for trial in results.of_arm(arm)] == list(study.seeds)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("title = ", "cannot be read as TOML"),
        (TINY + "\n[arms.third]\nsetings = []\nabout = ''", "setings"),
        (TINY.replace('plugin = "image"', ""), "plugin"),
        (TINY.replace("seconds = 0.2", "seconds = 0"), "seconds above 0"),
        (TINY.replace("seeds = [0, 1]", "seeds = []"), "seeds"),
        (TINY.replace("seeds = [0, 1]", "share = 1.5"), "share from 0 to 1"),
        (TINY + "\nlike = 'later'\n[arms.later]\nabout = ''", "arm 'data' is like 'later', which is no arm before it"),
    ],
)
def test_a_faulty_file_is_named_with_its_fault(text: str, fault: str, tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SystemExit, match=fault) as stopped:
        studies.read(path)
    assert str(path) in str(stopped.value)


def test_an_arm_takes_the_settings_of_the_one_that_it_is_like(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text(
        TINY + "\n[arms.third]\nabout = ''\nlike = 'data'\nsettings = ['diffusion.target=noise']", encoding="utf-8"
    )
    study = studies.read(path)
    assert study.overrides("third") == [*study.settings, "diffusion.target=data", "diffusion.target=noise"]
    config = resolve(domain_named("image"), preset="quick", overrides=study.overrides("third"))
    assert config.diffusion.target == "noise"
    assert "as `data`, then `diffusion.target=noise`" in page.text(study, Results("", "", tuple(_trials(study))), "x")


def _trials(study: studies.Study) -> list[Trial]:
    return [Trial(arm, 0, (1, 2), 5.0, dict.fromkeys(study.figures, 1.0), {}) for arm in study.arms]


def test_intervals_are_those_of_students_test() -> None:
    own, other = [3.1, 2.7, 3.6, 2.9], [2.0, 2.2, 2.1, 2.5]
    expected = ttest_1samp([a - b for a, b in zip(own, other, strict=True)], 0).confidence_interval(0.95)
    found = difference(own, other)
    assert (found.mean - found.half, found.mean + found.half) == pytest.approx((expected.low, expected.high))
    assert isnan(estimate([1.0]).half)


def test_ratios_are_geometric_and_only_of_positive_values() -> None:
    middle, low, high = ratio([2.0, 8.0], [1.0, 1.0]) or (0.0, 0.0, 0.0)
    assert middle == pytest.approx(4)
    assert low * high == pytest.approx(16)
    assert ratio([0.1, -0.1], [1.0, 1.0]) is None


def test_steps_follow_the_budget_and_its_shares(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.toml"
    path.write_text(TINY.replace("seconds = 0.2", "seconds = 100\nshare = 0.25"), encoding="utf-8")
    monkeypatch.setattr(studies, "_timed", lambda study, arm: [[0.5, 9.0, 0.5], [2.0 if arm == "plain" else 0.1]])
    assert studies.steps_within(studies.read(path)) == {"plain": [50, 38], "data": [50, 750]}


def test_a_study_continues_where_it_stopped_and_keeps_finished_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(studies, "PYTHON", preloaded.python())
    path, work = tmp_path / "two.toml", tmp_path / "work"
    path.write_text(TINY.replace("seeds = [0, 1]", "seeds = [0]"), encoding="utf-8")
    study = studies.read(path)
    assert all(len(times) == studies.PROBED and min(times) > 0 for times in studies._timed(study, "plain"))
    monkeypatch.setattr(studies, "_timed", lambda study, arm: [[0.02], [0.02]])  # so that both arms take equal steps
    first = studies.conduct(study, work, tmp_path / "two.json")
    assert [trial.steps for trial in first.trials] == [(5, 5), (5, 5)]
    assert [trial.arm for trial in first.trials] == ["plain", "data"]
    assert first.values("plain", "reconstruction_psnr_db") == first.values("data", "reconstruction_psnr_db")
    assert first.values("plain", "frechet_plain") != first.values("data", "frechet_plain")
    before = (work / "plain-0" / "metrics.json").stat().st_mtime_ns
    for name in ("metrics.json", "report.html"):
        (work / "data-0" / name).unlink()
    again = studies.conduct(study, work, tmp_path / "two.json")
    assert [trial.figures for trial in again.trials] == [trial.figures for trial in first.trials]
    assert (work / "plain-0" / "metrics.json").stat().st_mtime_ns == before
    path.write_text(TINY.replace("seconds = 0.2", "seconds = 0.3"), encoding="utf-8")
    with pytest.raises(SystemExit, match="before it was changed"):
        studies.conduct(studies.read(path), work, tmp_path / "two.json")


def test_a_page_shows_means_differences_ratios_and_every_run(tmp_path: Path) -> None:
    path = tmp_path / "two.toml"
    path.write_text(TINY, encoding="utf-8")
    study = studies.read(path)
    trials = [
        Trial(arm, seed, (1, 2), 5.0, {"reconstruction_psnr_db": value, "frechet_plain": -0.1}, {"frechet_plain": 0.0})
        for arm, values in (("plain", (20.0, 22.0)), ("data", (10.0, 11.0)))
        for seed, value in enumerate(values)
    ]
    results = Results("a processor", "2", tuple(trials))
    results.save(path.with_suffix(".json"))
    assert Results.load(path.with_suffix(".json")) == results
    page.write_page(study, results, tmp_path, "two")
    text, plot = (tmp_path / "two.md").read_text(), (tmp_path / "two.svg").read_text()
    assert "higher is better |  | 21 ± 13 | 10.5 ± 6.4 (-10.5 ± 6.4; × 0.50, 0.50 to 0.50) |" in text
    assert "| `frechet_plain`: lower is better | 0 | -0.1 ± 0 | -0.1 ± 0 (+0 ± 0) |" in text
    assert plot.count("<circle") == 8
    assert plot.count("stroke-dasharray") == 1
