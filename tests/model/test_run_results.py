"""What results of a run were made from, which are up to date, and what --resume makes again."""

from __future__ import annotations

import json
import shutil
import tomllib
from functools import reduce

import pytest
import tomli_w
from attrs import evolve
from typer.testing import CliRunner

import ddmi_core
from ddmi_core.cli.main import app
from ddmi_core.cli.model_source import ModelSource
from ddmi_core.errors import CheckpointError, DdmiWarning
from ddmi_core.evaluation.results import Evaluation, SamplerFigure
from ddmi_core.evaluation.samples import samples_of
from ddmi_core.evaluation.sweep import sweep_run
from ddmi_core.model import run_results
from ddmi_core.model.run_folder import RunFolder
from ddmi_core.model.run_results import FIGURES, REPORT, SAMPLES, Status, chain
from ddmi_core.runs.publish import publish
from ddmi_core.steps import STEPS
from ddmi_core.training import checkpoint
from ddmi_core.training.checkpoint import FINAL
from resealed import resealed
from whole_runs import DOMAINS, measured, run

TABLE = (SamplerFigure("ddim", 4, 4, 0.1, 2.0, {"n": 4}),)


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


def replace_weights(path):
    other_weights(path, "denoiser")


def another(text):
    """Figures with another value, as another run has them."""
    figures = json.loads(text)
    figures["figures"][0]["value"] += 1
    return resealed(json.dumps(figures))


def take_figures_over(path):
    """Replace the figures by those of another run."""
    (path / "metrics.json").write_text(another((path / "metrics.json").read_text()))


def forget_results(path):
    (path / "results.json").unlink()


def edit(path, key, value):
    """Edit a setting in `run.toml` on purpose; returns the value that it had."""
    toml = path / "run.toml"
    table = tomllib.loads(toml.read_text())
    *tables, name = key.split(".")
    inner = reduce(dict.__getitem__, tables, table)
    had, inner[name] = inner[name], value
    toml.write_text(resealed(tomli_w.dumps(table)))
    return had


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
    (copied_run / "metrics.json").write_text(another(own.decode()))
    assert reason(copied_run, FIGURES) == "metrics.json is not what was written"
    assert states(copied_run)[REPORT] == "stale"
    resumed(copied_run)
    found = json.loads((copied_run / "metrics.json").read_text())
    assert found["figures"][0]["value"] == json.loads(own)["figures"][0]["value"]


def test_the_report_is_stale_after_an_evaluation_that_changes_figures(copied_run, formula_domain):
    measured(copied_run, evolve(Evaluation.load(copied_run / "metrics.json"), notes=("changed",)))
    assert states(copied_run) == {**dict.fromkeys(STEPS, "up to date"), REPORT: "stale"}
    assert reason(copied_run, REPORT) == "made from other figures"


def test_other_settings_and_versions_make_results_stale(copied_run, formula_domain, monkeypatch):
    edit(copied_run, "sampling.steps", 5)
    found = states(copied_run)
    assert [name for name in STEPS if found[name] == "stale"] == [SAMPLES, FIGURES, REPORT]
    assert reason(copied_run, SAMPLES) == "made from other settings (sampling.steps)"
    monkeypatch.setattr(run_results, "__version__", "9.9")
    assert reason(copied_run, SAMPLES) == "made from other settings (sampling.steps) and other version of ddmi"


@pytest.mark.parametrize(
    ("key", "value", "stale"),
    [
        ("diffusion.training.workers", 0, []),
        ("autoencoder.training.log", 3, []),
        ("autoencoder.training.checkpoint", 7, []),
        ("diffusion.training.gradient_checkpointing", True, []),
        ("evaluation.grid", ["ddim:4"], []),
        ("data", "/elsewhere/waves", []),
        ("sampling.count", 3, [SAMPLES, REPORT]),
        ("evaluation.samples", 3, [FIGURES]),
        ("diffusion.training.rate", 0.5, ["denoiser", SAMPLES, FIGURES, REPORT]),
        ("diffusion.copies", 2, ["latents", "denoiser", SAMPLES, FIGURES, REPORT]),
        ("autoencoder.kl", 0.5, list(STEPS)),
        ("seed", 8, list(STEPS)),
        ("domain.size", 8, list(STEPS)),
    ],
)
def test_an_edited_setting_makes_stale_what_it_acts_on(finished_runs, tmp_path, key, value, stale):
    place = shutil.copytree(finished_runs["wave"], tmp_path / "wave")
    edit(place, key, value)
    found = states(place)
    assert {found[name] for name in STEPS} <= {"up to date", "stale"}
    assert [name for name in STEPS if found[name] == "stale"] == stale


def test_a_stage_that_was_trained_with_other_settings_is_refused_with_their_names(copied_run, formula_domain):
    now = edit(copied_run, "diffusion.training.steps", 24)
    assert reason(copied_run, "denoiser") == "made from other settings (diffusion.training.steps)"
    told = rf"denoiser was made with other settings: diffusion.training.steps was {now} and is 24. Fix: set them back"
    with pytest.raises(CheckpointError, match=told):
        resumed(copied_run)
    with pytest.warns(DdmiWarning, match=f"diffusion.training.steps was {now} and is 24"):
        ddmi_core.load(copied_run)
    shutil.rmtree(copied_run / "denoiser")
    resumed(copied_run)
    assert states(copied_run) == dict.fromkeys(STEPS, "up to date")


def test_a_training_that_began_with_other_settings_is_refused_with_their_names(tmp_path, registered):
    out = tmp_path / "wave"
    run(DOMAINS["wave"], out)
    stage = out / "denoiser"
    stored = checkpoint.load(stage / FINAL)
    groups = {"denoiser": stored.tensors("weights"), "average": stored.tensors("weights"), "denoiser-optimiser": {}}
    facts = {key: value for key, value in stored.record.items() if key not in ("files", "format", "checksum")}
    shutil.rmtree(stage)
    checkpoint.save(stage / "step-00000003", groups, {**facts, "step": 3})
    edit(out, "diffusion.training.rate", 0.5)
    with pytest.raises(CheckpointError, match=r"has diffusion.training.rate 0\.\d+; this run has .* 0.5. To train the"):
        resumed(out)


@pytest.mark.parametrize("change", [replace_weights, take_figures_over, forget_results])
def test_figures_of_another_model_are_refused_with_the_fix(copied_run, formula_domain, tmp_path, change):
    report = (copied_run / "report.html").read_bytes()
    change(copied_run)
    for command in (["report", copied_run], ["publish", copied_run, tmp_path / "out"], ["evaluate", *[copied_run] * 2]):
        said = CliRunner().invoke(app, list(map(str, command)))
        assert said.exit_code == 2
        assert f"metrics.json is {'damaged' if change is take_figures_over else 'stale'} (" in said.stderr
        assert f"Fix: measure the figures again with ddmi evaluate {copied_run}" in said.stderr.replace("\n", "")
    assert (copied_run / "report.html").read_bytes() == report
    assert not (tmp_path / "out").exists()
    source = ModelSource(copied_run, "")
    with pytest.warns(DdmiWarning, match="nothing is compared with held-out signals"):
        assert source.figures() == ()


def test_figures_by_another_version_are_of_this_model(copied_run, formula_domain, tmp_path, monkeypatch):
    monkeypatch.setattr(run_results, "__version__", "9.9")
    assert states(copied_run)[FIGURES] == "stale"
    publish(copied_run, tmp_path / "out")
    assert ModelSource(copied_run, "").figures()


def test_a_published_run_has_up_to_date_figures(copied_run, formula_domain, tmp_path):
    publish(copied_run, tmp_path / "out")
    assert states(tmp_path / "out") == {
        **dict.fromkeys(("autoencoder", "denoiser", FIGURES), "up to date"),
        **dict.fromkeys(("latents", SAMPLES, REPORT), "missing"),
    }
    publish(tmp_path / "out", tmp_path / "again")
    assert (tmp_path / "again" / "metrics.json").read_bytes() == (copied_run / "metrics.json").read_bytes()


def test_a_table_of_samplers_is_not_added_to_stale_figures(copied_run, formula_domain):
    replace_weights(copied_run)
    before = (copied_run / "metrics.json").read_bytes()
    with pytest.raises(CheckpointError, match=r"stale \(made from other weights.*Fix: .*ddmi evaluate"):
        sweep_run(copied_run)
    assert (copied_run / "metrics.json").read_bytes() == before
    assert states(copied_run)[FIGURES] == "stale"


def test_the_table_of_samplers_stays_with_its_weights_alone(copied_run, formula_domain):
    (copied_run / "metrics.json").unlink()
    measured(copied_run, Evaluation((), samplers=TABLE))
    measured(copied_run, Evaluation(()))
    assert Evaluation.load(copied_run / "metrics.json").samplers == TABLE
    replace_weights(copied_run)
    with pytest.warns(DdmiWarning, match=r"table of samplers in .* is stale .* Fix: measure it again with .* --sweep"):
        resumed(copied_run)
    assert Evaluation.load(copied_run / "metrics.json").samplers == ()


def test_samples_of_an_unfinished_evaluation_are_kept_for_the_same_settings_alone(copied_run, formula_domain):
    folder = RunFolder(copied_run)

    def place():
        with samples_of(ddmi_core.load(copied_run), [], 0, folder) as found:
            return found._folder

    before = place()
    edit(copied_run, "diffusion.training.log", 1)
    assert place() == before
    edit(copied_run, "sampling.guidance_to", 0.5)
    assert place() != before


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


@pytest.mark.parametrize("stage", ["autoencoder", "latents", "denoiser"])
def test_status_names_a_damaged_stage_and_goes_on(stage, copied_run, formula_domain):
    state = copied_run / stage / "final" / "state.json"
    state.write_text(state.read_text(encoding="utf-8").replace('"format"', '"form"'), encoding="utf-8")
    said = CliRunner().invoke(app, ["status", str(copied_run)])
    assert said.exit_code == 0
    assert f"{stage}: damaged ({state} is damaged" in said.output
    found = states(copied_run)
    others = {"autoencoder", "latents", "denoiser"} - {stage}
    assert [found[name] for name in others] == ["up to date"] * 2
    assert reason(copied_run, REPORT) == f"the {stage} is damaged"


@pytest.mark.parametrize("stage", ["autoencoder", "latents", "denoiser"])
def test_status_of_a_run_that_lacks_a_stage(stage, copied_run, formula_domain):
    shutil.rmtree(copied_run / stage)
    found = states(copied_run)
    assert found[stage] == "missing"
    assert all(found[name] == "up to date" for name in {"autoencoder", "latents", "denoiser"} - {stage})


def test_latents_of_another_autoencoder_are_stale(copied_run, formula_domain):
    other_weights(copied_run, "autoencoder")
    found = states(copied_run)
    assert [name for name in STEPS if found[name] == "stale"] == list(STEPS[1:])
