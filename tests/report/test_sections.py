"""Sections of a report that depend on what a run has kept."""

from __future__ import annotations

from html import unescape
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import formula_domains
from ddmi_core.evaluation.results import Evaluation
from ddmi_core.evaluation.verdict import verdict
from ddmi_core.report.sections import training
from ddmi_core.settings.resolve import resolve
from ddmi_core.training.log import Log

CONFIG = resolve(formula_domains.WAVE, "")


def section(run: Path) -> ElementTree.Element:
    """The section on training of a run that has no more than its log."""
    text = training(SimpleNamespace(run=run, model=SimpleNamespace(config=CONFIG)))
    return ElementTree.fromstring(f"<div>{text}</div>")


def test_published_weights_have_no_curves_but_the_settings_of_training(tmp_path):
    page = section(tmp_path)
    assert list(page.iter("svg")) == []
    rows = [[cell.text for cell in row] for row in page.iter("tr")][1:]
    stages = (CONFIG.autoencoder.training, CONFIG.diffusion.training)
    assert [row[0] for row in rows] == ["autoencoder", "denoiser"]
    assert [(row[1], row[2], row[5]) for row in rows] == [
        (str(own.steps), str(own.batch), own.precision) for own in stages
    ]


def test_a_run_has_a_curve_of_each_stage_and_no_table(tmp_path):
    log = Log(tmp_path / "log.jsonl")
    for stage in ("autoencoder", "denoiser"):
        for step in (1, 2):
            log.write(stage, step, {"loss": 1 / step})
    page = section(tmp_path)
    assert [caption.text for caption in page.iter("figcaption")] == ["autoencoder", "denoiser"]
    assert list(page.iter("table")) == []
    assert [text.text for text in page.iter("text") if text.text == "loss"] == ["loss", "loss"]


def test_the_report_says_beside_the_samples_how_near_they_are_to_the_training_signals(finished_run):
    sentences = verdict(Evaluation.load(finished_run / "metrics.json").figures)
    page = unescape((finished_run / "report.html").read_text(encoding="utf-8"))
    assert all(sentence in page for sentence in sentences)
    copying = next(sentence for sentence in sentences if "copying_" in sentence)
    assert page.count(copying) == 2  # above the figures, and beside the samples
