"""What results of a run were made from, which are up to date, and what --resume makes again."""

from __future__ import annotations

import json
import shutil

import pytest
from attrs import evolve
from typer.testing import CliRunner

from ddmi_core.cli.main import app
from ddmi_core.evaluation import evaluate
from ddmi_core.model import run_results
from ddmi_core.model.run_folder import RunFolder
from ddmi_core.model.run_results import FIGURES, REPORT, SAMPLES, Status, chain
from ddmi_core.training import checkpoint
from ddmi_core.training.checkpoint import FINAL
from unsealed import unsealed
from whole_runs import DOMAINS, run

STEPS = ("autoencoder", "latents", "denoiser", SAMPLES, FIGURES, REPORT)


def states(path):
    return {one.name: one.state for one in chain(RunFolder(path))}


def reason(path, name):
    return next(one.reason for one in chain(RunFolder(path)) if one.name == name)


def resumed(path):
    return run(DOMAINS[path.name], path, resume=True)


def other_weights(path, stage):
    """Replace the final weights of a stage by others, as a new training would."""
    folder = path / stage / FINAL
    stored = checkpoint.load(folder)
    groups = {name.removesuffix(".safetensors"): None for name in stored.record["files"]}
    groups = {name: dict(stored.tensors(name)) for name in groups}
    groups["weights"] = {name: value + 1e-3 for name, value in groups["weights"].items()}
    facts = {key: value for key, value in stored.record.items() if key not in ("files", "format", "checksum")}
    shutil.rmtree(folder)
    checkpoint.save(folder, groups, facts)


def test_all_steps_of_a_finished_run_are_up_to_date(finished_run):
    assert states(finished_run) == dict.fromkeys(STEPS, "up to date")


def test_nothing_is_made_again_without_need(copied_run, formula_domain):
    before = {path: path.stat().st_mtime_ns for path in copied_run.rglob("*") if path.is_file()}
    assert "made again" not in resumed(copied_run)
    after = {path: path.stat().st_mtime_ns for path in before}
    assert {path.name for path in before if before[path] != after[path]} <= {"log.jsonl", "data.json"}


def test_results_of_other_weights_are_stale_and_made_again(copied_run, formula_domain):
    figures = (copied_run / "metrics.json").read_text()
    other_weights(copied_run, "denoiser")
    found = states(copied_run)
    assert [name for name in STEPS if found[name] == "stale"] == [SAMPLES, FIGURES, REPORT]
    assert reason(copied_run, FIGURES) == "made from other weights of the denoiser"
    text = resumed(copied_run)
    assert all(f"{name}: made from other weights of the denoiser; made again" in text for name in (SAMPLES, FIGURES))
    assert states(copied_run) == dict.fromkeys(STEPS, "up to date")
    assert (copied_run / "metrics.json").read_text() != figures


@pytest.mark.parametrize("content", [b"", b"another picture"])
def test_a_sample_that_is_not_what_was_written_is_made_again(copied_run, formula_domain, finished_run, content):
    sample = sorted((copied_run / "samples").iterdir())[-1]
    sample.write_bytes(content)
    assert reason(copied_run, SAMPLES) == f"samples/{sample.name} is not what was written"
    resumed(copied_run)
    assert sample.read_bytes() == (finished_run / "samples" / sample.name).read_bytes()


def test_a_sample_that_is_gone_is_made_again(copied_run, formula_domain):
    sample = sorted((copied_run / "samples").iterdir())[0]
    sample.unlink()
    assert states(copied_run)[SAMPLES] == "missing"
    resumed(copied_run)
    assert sample.stat().st_size


def test_figures_of_another_run_are_not_taken_over(copied_run, formula_domain):
    own = (copied_run / "metrics.json").read_bytes()
    theirs = json.loads(unsealed(own.decode()))
    theirs["figures"][0]["value"] += 1
    (copied_run / "metrics.json").write_text(json.dumps(theirs))
    assert reason(copied_run, FIGURES) == "metrics.json is not what was written"
    assert states(copied_run)[REPORT] == "stale"
    resumed(copied_run)
    found = json.loads((copied_run / "metrics.json").read_text())
    assert found["figures"][0]["value"] == json.loads(own)["figures"][0]["value"]


def test_the_report_is_stale_after_an_evaluation_that_changes_figures(copied_run, formula_domain):
    evaluate.keep(
        evolve(evaluate.Evaluation.load(copied_run / "metrics.json"), notes=("changed",)),
        copied_run / "metrics.json",
        RunFolder(copied_run),
    )
    assert states(copied_run) == {**dict.fromkeys(STEPS, "up to date"), REPORT: "stale"}
    assert reason(copied_run, REPORT) == "made from other figures"


def test_other_settings_and_versions_make_results_stale(copied_run, formula_domain, monkeypatch):
    text = (copied_run / "run.toml").read_text()
    (copied_run / "run.toml").write_text(unsealed(text).replace("\ncount = ", "\ncount = 1", 1))
    assert reason(copied_run, SAMPLES) == "made from other settings"
    monkeypatch.setattr(run_results, "__version__", "9.9")
    assert reason(copied_run, SAMPLES) == "made from other settings and other version of ddmi"


def test_without_a_record_results_are_stale(copied_run, formula_domain):
    (copied_run / "results.json").write_text("{")
    assert chain(RunFolder(copied_run))[-3:] == [
        Status(name, "stale", run_results.NOT_RECORDED) for name in (SAMPLES, FIGURES, REPORT)
    ]


def test_status_shows_the_chain(copied_run, formula_domain):
    shutil.rmtree(copied_run / "denoiser")
    said = CliRunner().invoke(app, ["status", str(copied_run)])
    assert said.exit_code == 0
    assert said.output.splitlines() == [
        "autoencoder: up to date",
        "latents: up to date",
        *(f"{name}: missing" for name in ("denoiser", SAMPLES, FIGURES, REPORT)),
    ]
    found = json.loads(CliRunner().invoke(app, ["status", str(copied_run), "--json"]).output)
    assert [one["state"] for one in found] == ["up to date"] * 2 + ["missing"] * 4


def test_latents_of_another_autoencoder_are_stale(copied_run, formula_domain):
    other_weights(copied_run, "autoencoder")
    found = states(copied_run)
    assert [name for name in STEPS if found[name] == "stale"] == list(STEPS[1:])
