"""Whole runs of the formula domains."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

from rich.console import Console

import formula_domains
from ddmi_core.api import Domain
from ddmi_core.evaluation import evaluate
from ddmi_core.evaluation.results import Evaluation
from ddmi_core.model.run_folder import RunFolder, read_config, read_head
from ddmi_core.runs import pipeline
from ddmi_core.settings.resolve import resolve

FILES = {
    "run.toml",
    "data.json",
    "log.jsonl",
    "autoencoder",
    "latents",
    "denoiser",
    "samples",
    "metrics.json",
    "report.html",
    "results.json",
}
DOMAINS = {"wave": formula_domains.WAVE, "block": formula_domains.BLOCK}


def run(domain: Domain, out: Path, *sets: str, resume: bool = False, preset: str = "", **options: bool) -> str:
    """What a whole run prints."""
    text = StringIO()
    config = resolve(domain, preset, overrides=sets)
    pipeline.execute(config, domain, out, resume=resume, console=Console(file=text, width=1000), **options)
    return text.getvalue()


def measured(place: Path, figures: Evaluation) -> None:
    """Store figures of a run as if they were measured."""
    folder = RunFolder(place)
    evaluate.keep(figures, folder.metrics, folder, read_config(folder, DOMAINS[read_head(folder).plugin]))
