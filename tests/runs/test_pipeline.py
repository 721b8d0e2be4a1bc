"""Whole runs of both formula domains: what they leave behind, how they go on, and what stops them."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterable
from pathlib import Path

import pytest
import torch
from attrs import evolve

import formula_domains
from ddmi_core.api import SignalSet, Split
from ddmi_core.errors import (
    CheckpointError,
    ConfigError,
    DataError,
    Interrupted,
    OutputError,
    RequestError,
    TrainingError,
)
from ddmi_core.evaluation import evaluate, samples, sweep
from ddmi_core.evaluation.results import Evaluation
from ddmi_core.model import run_folder
from ddmi_core.model.data import load_data
from ddmi_core.model.model import Model
from ddmi_core.parts.domain_parts import build_parts
from ddmi_core.report import report
from ddmi_core.runs import pipeline
from ddmi_core.training import checkpoint
from ddmi_core.training.log import Log
from resealed import resealed
from variants import model_variant, returning, variant
from whole_runs import DOMAINS, FILES, run

STEPS = {
    "autoencoder": "autoencoder/final",
    "latents": "latents/final",
    "denoiser": "denoiser/final",
    "samples": "samples",
    "evaluation": "metrics.json",
    "report": "report.html",
}
FEW = [f"{stage}.training.steps=4" for stage in ("autoencoder", "diffusion")]
SECONDS = re.compile(r'"seconds": [\d.]+')


def contents(place: Path) -> dict[str, str]:
    """Digest of every file that the run's seed decides; times are left out."""
    digests = {}
    for path in sorted(place.rglob("*")):
        name = str(path.relative_to(place))
        if path.is_dir() or name.startswith(("log.jsonl", "report.html", "results.json")):
            continue
        data = path.read_bytes()
        if name == "metrics.json":
            data = SECONDS.sub("", data.decode()).encode()
        digests[name] = hashlib.sha256(data).hexdigest()
    return digests


def moments(place: Path) -> dict[str, int]:
    """When every file was last written."""
    return {str(p.relative_to(place)): p.stat().st_mtime_ns for p in place.rglob("*") if p.is_file()}


def remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def test_a_run_leaves_the_folder_of_the_design(finished_run, formula_domain):
    names = {path.name for path in finished_run.iterdir()}
    assert names == FILES
    for stage in ("autoencoder", "latents", "denoiser"):
        assert [path.name for path in (finished_run / stage).iterdir()] == ["final"]
        suffixes = {path.suffix for path in (finished_run / stage / "final").iterdir()}
        assert suffixes == {".safetensors", ".json"}
    assert sorted(path.name for path in (finished_run / "samples").iterdir()) == [
        f"sample-{n:04d}.npy" for n in range(4)
    ]
    table = tomllib.loads((finished_run / "run.toml").read_text())
    assert table["run"]["plugin"] == table["plugin"] == formula_domain.name
    assert {"ddmi", "torch", "python"} <= table["run"]["versions"].keys()
    assert len(table["run"]["fingerprint"]) == 64


def test_both_stages_are_logged_and_learn(finished_run):
    records = list(Log(finished_run / "log.jsonl").records())
    for stage in ("autoencoder", "denoiser"):
        losses = [record["loss"] for record in records if record["stage"] == stage]
        assert [record["step"] for record in records if record["stage"] == stage] == list(range(10, 61, 10))
        assert losses[-1] < losses[0]


def test_without_a_terminal_a_line_each_tenth_tells_the_time_left(tmp_path):
    text = run(DOMAINS["wave"], tmp_path / "run", "autoencoder.training.log=1")
    lines = [line for line in text.splitlines() if line.startswith("autoencoder ")]
    assert len(lines) == 11
    machine = r"[\d,.]+ signals/s, \d+ % waiting for data, \d\.\d GiB"
    assert re.fullmatch(rf"autoencoder 1/60 loss [\d.]+, {machine}", lines[0])  # no step tells the time left yet
    assert all(
        re.fullmatch(rf"autoencoder \d+/60 loss [\d.]+, {machine}, about \d+ s left", line) for line in lines[1:-1]
    )
    assert re.fullmatch(rf"autoencoder 60/60 loss [\d.]+, {machine}", lines[-1])


def test_tensorboard_is_written_when_it_is_asked_for(copied_run, formula_domain):
    pytest.importorskip("tensorboard")
    remove(copied_run / "denoiser")
    run(formula_domain, copied_run, resume=True, trackers=["tensorboard"])
    assert [path.name.split(".")[:2] for path in (copied_run / "tensorboard").iterdir()] == [["events", "out"]]
    assert "tensorboard" not in (copied_run / "run.toml").read_text()


def test_reconstructions_are_decoded_once_for_all_metrics(finished_runs, monkeypatch):
    model = report.load(finished_runs["wave"])
    several = model_variant(model, metrics=returning(dict.fromkeys("abc", formula_domains.error)))
    decoded, reconstruct = [], Model.reconstruct
    monkeypatch.setattr(Model, "reconstruct", lambda *given: decoded.append(True) or reconstruct(*given))
    result = evaluate.measure(several, load_data(model.parts, ""))
    assert decoded == [True]
    stored = Evaluation.load(finished_runs["wave"] / "metrics.json").value("reconstruction_error")
    assert [result.value(f"reconstruction_{name}") for name in "abc"] == [stored] * 3


def test_seconds_are_read_after_the_device_has_finished(monkeypatch):
    waited = []
    monkeypatch.setattr(torch.cuda, "synchronize", waited.append)
    for name in ("cuda:0", "cpu"):
        sweep._clock(torch.device(name))
    assert waited == [torch.device("cuda:0")]


@pytest.mark.parametrize(
    ("name", "module"),
    [("tensorboard", "torch.utils.tensorboard"), ("wandb", "wandb"), ("mlflow", "mlflow"), ("trackio", "trackio")],
)
def test_a_missing_package_of_a_tracker_is_named_before_anything_is_done(
    name, module, formula_domain, tmp_path, monkeypatch
):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(RequestError, match=rf"tracker '{name}' .*pip install 'ddmi\[{name}\]'"):
        run(formula_domain, tmp_path / "run", trackers=[name])
    assert not (tmp_path / "run").exists()


OF_SETS = ("frechet_plain", "kid_plain", "precision_plain", "recall_plain")  # what four held-out signals allow


def test_every_figure_comes_with_its_protocol(finished_run):
    result = Evaluation.load(finished_run / "metrics.json")
    assert [figure.name for figure in result.figures] == [
        "reconstruction_error",
        "reconstruction_frechet_plain",
        *OF_SETS,
        *(f"{name}_of_real" for name in OF_SETS),
        "copying_plain",
    ]
    for figure in result.figures:
        assert {"data", "source", "versions", "n"} <= figure.protocol.keys()
        assert figure.protocol["versions"].keys() == {"ddmi", "torch", "numpy"}
    protocols = {figure.name: figure.protocol for figure in result.figures}
    sampling = {"seed": 1000, "sampler": "unipc", "steps": 4, "guidance": 1.0}
    for name in (*OF_SETS, "copying_plain"):
        assert sampling.items() <= protocols[name].items()
        assert "decay 0.9" in protocols[name]["averages"]
        assert "no file" in protocols[name]["drawn"]
        assert protocols[name]["network"]["name"] == "plain"
    for name in (*OF_SETS, *(f"{name}_of_real" for name in OF_SETS)):
        assert (protocols[name]["n"], protocols[name]["reference"]) == (4, "all 4 held-out signals")
    assert protocols["kid_plain_of_real"]["signals"] == "4 training signals at random"
    assert "steps" not in protocols["kid_plain_of_real"]
    assert protocols["copying_plain"]["reference"] == "all 20 training signals"
    assert result.samplers == ()


def test_a_sweep_adds_the_table_of_samplers_to_figures_and_report(copied_run, formula_domain):
    before = Evaluation.load(copied_run / "metrics.json")
    assert ">Sampling: cost and quality<" not in (copied_run / "report.html").read_text()
    result = sweep.sweep_run(copied_run)
    assert result == Evaluation.load(copied_run / "metrics.json")
    assert result.figures == before.figures
    assert [(row.sampler, row.steps, row.evaluations) for row in result.samplers] == [
        ("unipc", 4, 4),
        ("heun", 2, 3),
    ]
    assert [(row.protocol["sampler"], row.protocol["steps"]) for row in result.samplers] == [
        ("unipc", 4),
        ("heun", 2),
    ]
    # The first row has the sampler of the run.
    assert result.samplers[0].distance == pytest.approx(result.value("frechet_plain"), rel=1e-6)
    assert evaluate.evaluate_run(copied_run).samplers == result.samplers
    report.build_report(copied_run)
    page = (copied_run / "report.html").read_text()
    assert ">Sampling: cost and quality<" in page
    assert page.count("<svg") == 3


def test_a_sweep_of_a_run_without_figures_says_what_to_do_first(copied_run, formula_domain):
    (copied_run / "metrics.json").unlink()
    with pytest.raises(CheckpointError, match="write it with ddmi evaluate"):
        sweep.sweep_run(copied_run)


def test_the_report_is_one_page_that_loads_nothing(finished_run, formula_domain):
    page = (finished_run / "report.html").read_text()
    loaded = re.findall(r"""(?:src|href|srcset|poster|action|data)\s*=\s*["']([^"']*)""", page)
    assert loaded
    assert all(address.startswith("data:image/png;base64,") for address in loaded)
    assert not re.search(r"<script|<link|<iframe|@import|url\(|https?://", page)
    for heading in (
        "Held-out reconstructions",
        "nearest training signal",
        "Scale by scale",
        "several sizes",
    ):
        assert heading in page
    assert page.count("<svg") == 2
    assert formula_domain.summary in page


def test_the_report_shows_settings_as_they_stand(copied_run):
    toml = copied_run / "run.toml"
    toml.write_text(resealed(toml.read_text().replace('data = ""', 'data = "formulas:a&amp;<b>"')))
    report.build_report(copied_run)
    assert "formulas:a&amp;amp;&lt;b&gt;" in (copied_run / "report.html").read_text()


def test_the_same_configuration_gives_the_same_bytes(finished_run, formula_domain, tmp_path):
    run(formula_domain, tmp_path / finished_run.name)
    assert contents(tmp_path / finished_run.name) == contents(finished_run)


def test_another_seed_gives_other_weights_and_samples(finished_runs, tmp_path):
    run(DOMAINS["wave"], tmp_path / "wave", "seed=1")
    first, second = contents(finished_runs["wave"]), contents(tmp_path / "wave")
    assert first.keys() == second.keys()
    assert all(first[name] != second[name] for name in first if name.endswith((".npy", "weights.safetensors")))


def test_a_finished_run_is_not_touched_again(copied_run, formula_domain):
    before = moments(copied_run)
    text = run(formula_domain, copied_run, resume=True)
    assert moments(copied_run) == before
    for line in Evaluation.load(copied_run / "metrics.json").lines():
        assert line in text
    assert not any(f"\n{step}\n" in text for step in STEPS)


@pytest.mark.parametrize("step", list(STEPS)[1:])
def test_what_was_removed_is_made_again_and_nothing_before_it(step, copied_run, finished_run, formula_domain):
    names = list(STEPS)
    later = names[names.index(step) :]
    for name in later:
        remove(copied_run / STEPS[name])
    before = moments(copied_run)
    run(formula_domain, copied_run, resume=True)
    after = moments(copied_run)
    kept = {name for name in before if not name.startswith(("log.jsonl", "results.json"))}
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}
    assert contents(copied_run) == contents(finished_run)


def test_a_missing_sample_is_drawn_again(copied_run, finished_run, formula_domain):
    (copied_run / "samples" / "sample-0002.npy").unlink()
    run(formula_domain, copied_run, resume=True)
    assert contents(copied_run) == contents(finished_run)


@pytest.mark.parametrize(
    ("stage", "at", "number", "status"),
    [("autoencoder", 30, signal.SIGINT, 130), ("denoiser", 10, signal.SIGTERM, 143)],
)
def test_a_signal_saves_and_tells_how_to_go_on(
    stage, at, number, status, formula_domain, finished_run, tmp_path, monkeypatch
):
    out = tmp_path / "with space" / formula_domain.name
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    write = Log.write

    def interrupting(self, name, step, values):
        write(self, name, step, values)
        if (name, step) == (stage, at):
            os.kill(os.getpid(), number)

    with monkeypatch.context() as patched:
        patched.setattr(Log, "write", interrupting)
        with pytest.raises(Interrupted) as caught:
            run(formula_domain, out)
    assert caught.value.exit_status == status
    assert f"ddmi run --plugin {formula_domain.name} --out '{out}' --resume" in str(caught.value)
    assert checkpoint.steps(out / stage)[0].name == f"step-{at:08d}"
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
    run(formula_domain, out, resume=True)
    assert contents(out) == contents(finished_run)


def test_a_run_with_fresh_latents_resumes_to_the_same_bytes(tmp_path, monkeypatch):
    sets = [*FEW, "diffusion.latents=fresh", "diffusion.training.log=1"]
    write = Log.write

    def interrupting(self, name, step, values):
        write(self, name, step, values)
        if (name, step) == ("denoiser", 2):
            os.kill(os.getpid(), signal.SIGTERM)

    run(DOMAINS["wave"], tmp_path / "whole", *sets)
    with monkeypatch.context() as patched:
        patched.setattr(Log, "write", interrupting)
        with pytest.raises(Interrupted, match="at step 2 of 4 of stage 'denoiser'"):
            run(DOMAINS["wave"], tmp_path / "stopped", *sets)
    run(DOMAINS["wave"], tmp_path / "stopped", resume=True)
    assert contents(tmp_path / "stopped") == contents(tmp_path / "whole")
    assert 'latents = "fresh"' in (tmp_path / "whole" / "run.toml").read_text()
    run(DOMAINS["wave"], tmp_path / "cached", *FEW)
    latents = [checkpoint.load(tmp_path / name / "latents" / "final") for name in ("whole", "cached")]
    assert [("flat" in stored.tensors("shard-000000")) for stored in latents] == [False, True]
    drawn, means = (stored.tensors("normalisation")["std"] for stored in latents)
    assert (drawn > means).all()
    weights = [
        checkpoint.load(tmp_path / name / "denoiser" / "final").digest("weights") for name in ("whole", "cached")
    ]
    assert weights[0] != weights[1]


def test_a_signal_in_a_step_keeps_what_was_done(finished_runs, tmp_path, monkeypatch):
    out = tmp_path / "wave"
    complete = checkpoint.complete

    def interrupting(place, *arguments):
        result = complete(place, *arguments)
        if place == out / "latents" / "final":
            os.kill(os.getpid(), signal.SIGTERM)
        return result

    with monkeypatch.context() as patched:
        patched.setattr(checkpoint, "complete", interrupting)
        with pytest.raises(Interrupted, match=r"in the step 'latents'; completed work is saved.*--resume"):
            run(DOMAINS["wave"], out)
    run(DOMAINS["wave"], out, resume=True)
    assert contents(out) == contents(finished_runs["wave"])


def test_a_signal_ends_a_long_evaluation_at_once(finished_runs, tmp_path, monkeypatch):
    out = tmp_path / "wave"

    def interrupting(*arguments):
        os.kill(os.getpid(), signal.SIGTERM)
        for _ in range(1000):
            time.sleep(0.01)
        raise AssertionError("the evaluation went on")

    with monkeypatch.context() as patched:
        patched.setattr(samples, "describe_latents", interrupting)
        with pytest.raises(
            Interrupted, match=r"in the step 'evaluation'; completed work is saved: continue with: .*--resume"
        ):
            run(DOMAINS["wave"], out)
    assert not (out / "metrics.json").exists()
    run(DOMAINS["wave"], out, resume=True)
    assert contents(out) == contents(finished_runs["wave"])


def test_resuming_says_which_settings_of_the_request_are_not_used(tmp_path):
    wave = DOMAINS["wave"]
    sets = ("seed=3", "autoencoder.training.steps=20", "evaluation.samples=8")
    assert "note" not in run(wave, tmp_path / "run", *sets)
    shutil.rmtree(tmp_path / "run" / "samples")
    assert "note" not in run(wave, tmp_path / "run", resume=True)
    assert "note" not in run(wave, tmp_path / "run", *sets, resume=True)
    text = run(wave, tmp_path / "run", "seed=4", "sampling.steps=2", "evaluation.samples=8", resume=True)
    assert "ignored settings: seed, sampling.steps\n" in text
    assert "autoencoder" not in text.split("ignored settings:")[1].splitlines()[0]


def test_a_new_run_does_not_take_a_folder_in_use(copied_run, formula_domain, tmp_path):
    before = moments(copied_run)
    with pytest.raises(OutputError, match="already holds a run; continue it with --resume"):
        run(formula_domain, copied_run)
    assert moments(copied_run) == before
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("mine")
    with pytest.raises(OutputError, match="neither empty nor a run"):
        run(formula_domain, tmp_path / "notes")
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OutputError, match="is a file"):
        run(formula_domain, tmp_path / "file")
    with pytest.raises(OutputError, match="cannot write"):
        run(formula_domain, tmp_path / "file" / "below")


def test_the_output_folder_is_checked_before_the_data_are_loaded(copied_run, formula_domain, monkeypatch):
    monkeypatch.setattr(pipeline, "load_data", lambda *arguments: pytest.fail("data were loaded"))
    with pytest.raises(OutputError, match="already holds a run"):
        run(formula_domain, copied_run)


@pytest.mark.parametrize("resume", [False, True])
def test_a_start_that_was_cut_off_before_run_toml_can_be_repeated(resume, finished_runs, tmp_path):
    out = tmp_path / "wave"
    out.mkdir()
    program = "from ddmi_core.atomic import temporary_prefix; print(temporary_prefix())"
    own = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.strip()
    (out / f"{own}run.toml").write_text("half")  # of a process that has ended
    text = run(DOMAINS["wave"], out, resume=resume)
    assert ("there is no run in" in text) == resume
    assert contents(out) == contents(finished_runs["wave"])


def test_a_run_on_a_relative_path_goes_on_in_any_directory(tmp_path, monkeypatch):
    sources = {"formulas": formula_domains.wave_source, "folder": kept}
    wave = variant(DOMAINS["wave"], sources=returning(sources))
    (tmp_path / "signals").mkdir()
    for number, data in enumerate(("signals", "folder:signals")):
        monkeypatch.chdir(tmp_path)
        run(wave, tmp_path / f"run-{number}", *FEW, f"data={data}")
        stored = run_folder.read_config(run_folder.RunFolder(tmp_path / f"run-{number}"), wave).data
        assert stored == data.replace("signals", str(tmp_path / "signals"))
        assert "differs" not in run(wave, tmp_path / f"run-{number}", *FEW, f"data={data}", resume=True)
        monkeypatch.chdir("/")
        run(wave, tmp_path / f"run-{number}", resume=True)


def kept(location: Path | None, settings: formula_domains.FormulaSettings) -> Split:
    """A source that needs its folder."""
    assert location is not None
    assert location.is_dir()
    return formula_domains.wave_source(location, settings)


@pytest.mark.parametrize(
    ("number", "words"), [(errno.EACCES, "no permission to write"), (errno.ENOSPC, "no space left on the disk")]
)
def test_a_folder_that_cannot_be_made_is_named(number, words, formula_domain, tmp_path, monkeypatch):
    def refuse(self, *arguments, **options):
        raise OSError(number, "of the test")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "mkdir", refuse)
        with pytest.raises(OutputError, match=words) as caught:
            run(formula_domain, tmp_path / "new")
    assert caught.value.exit_status == 1


def test_a_folder_without_permission_is_refused(formula_domain, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(OutputError, match="no permission to write"):
        run(formula_domain, tmp_path / "new")


def test_a_full_disk_loses_nothing_that_was_done(finished_runs, tmp_path, monkeypatch):
    out = tmp_path / "full"
    with monkeypatch.context() as patched:
        write = checkpoint.write_synced

        def full(path: Path, pieces: Iterable[bytes | memoryview]) -> None:
            if "denoiser" in str(path) and "step-00000040" in str(path):
                raise OSError(errno.ENOSPC, "of the test")
            write(path, pieces)

        patched.setattr(checkpoint, "write_synced", full)
        words = (
            rf"no space left.*; completed work is saved: continue with: ddmi run --plugin wave --out {out} --resume$"
        )
        with pytest.raises(OutputError, match=words):
            run(DOMAINS["wave"], out)
    assert [path.name for path in (out / "denoiser").iterdir()] == ["step-00000020"]
    run(DOMAINS["wave"], out, resume=True)
    assert contents(out) == contents(finished_runs["wave"])


@pytest.mark.parametrize("name", ["sample-0001.npy", "metrics.json", "report.html", "log.jsonl", "run.toml"])
def test_a_file_that_cannot_be_written_is_named_and_leaves_no_half(name, tmp_path, monkeypatch, finished_runs):
    def full(original):
        def call(self, *arguments, **options):
            if (self.name == name or (self.name.startswith(".partial-") and self.name.endswith(f"-{name}"))) and (
                arguments or options
            )[:1] != ("r",):
                raise OSError(errno.ENOSPC, "of the test")
            return original(self, *arguments, **options)

        return call

    out = tmp_path / "run"
    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", full(Path.open))
        patched.setattr(Path, "write_text", full(Path.write_text))
        with pytest.raises(OutputError, match=rf"no space left on the disk while writing .*{name}"):
            run(DOMAINS["wave"], out)
    assert not list(out.rglob(".*"))
    run(DOMAINS["wave"], out, resume=(out / "run.toml").exists())
    assert contents(out) == contents(finished_runs["wave"])


def test_a_run_of_another_plugin_is_refused(finished_runs):
    for name, other in (("wave", "block"), ("block", "wave")):
        with pytest.raises(CheckpointError, match=f"is a run of plugin '{name}', not of '{other}'") as caught:
            run(DOMAINS[other], finished_runs[name], resume=True)
        assert caught.value.exit_status == 2


def test_a_run_of_a_newer_version_is_refused(copied_run, formula_domain):
    toml = copied_run / "run.toml"
    toml.write_text(resealed(toml.read_text().replace("format = 1", "format = 2").replace('ddmi = "', 'ddmi = "9')))
    with pytest.raises(CheckpointError, match=r"written by ddmi 9.* in format 2; this version reads up to 1"):
        run(formula_domain, copied_run, resume=True)


def _cut(text: str) -> str:
    return text[: text.index("[run]")] + '[run]\nformat = 1\nplugin = "wa'


def _without_record(text: str) -> str:
    return text[: text.index("[run]")]


def _with_unknown_key(text: str) -> str:
    return text.replace("latent_channels", "latent_chanels", 1)


@pytest.mark.parametrize(
    ("damage", "kind", "words"),
    [
        (_cut, CheckpointError, "run.toml is damaged"),
        (_without_record, CheckpointError, r"no complete \[run\] table"),
        (_with_unknown_key, ConfigError, "latent_chanels.*latent_channels"),
    ],
)
def test_a_damaged_run_toml_is_refused_in_words(damage, kind, words, copied_run, formula_domain):
    toml = copied_run / "run.toml"
    toml.write_text(resealed(damage(toml.read_text())))
    with pytest.raises(kind, match=words):
        run(formula_domain, copied_run, resume=True)


def test_only_a_run_can_be_resumed(formula_domain, tmp_path):
    with pytest.raises(CheckpointError, match="there is no run folder"):
        run(formula_domain, tmp_path / "nowhere", resume=True)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(CheckpointError, match=r"is not a run: it has no run.toml"):
        run(formula_domain, tmp_path, resume=True)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_changed_data_are_refused_on_resumption_evaluation_and_report(copied_run, formula_domain, monkeypatch):
    def changed(parts, data) -> Split:
        return load_data(build_parts(parts.domain, evolve(parts.settings, count=parts.settings.count + 6)), data)

    for module in (pipeline, evaluate, report):
        monkeypatch.setattr(module, "load_data", changed)
    before = moments(copied_run)
    for action in (lambda place: run(formula_domain, place, resume=True), evaluate.evaluate_run, report.build_report):
        with pytest.raises(DataError, match=r"data have changed since .* was started.*restore them") as caught:
            action(copied_run)
        assert caught.value.exit_status == 2
    assert moments(copied_run) == before


def test_latents_of_other_data_are_refused(copied_run, formula_domain):
    state = copied_run / "latents" / "final" / "state.json"
    state.write_text(resealed(json.dumps(json.loads(state.read_text()) | {"fingerprint": "0" * 64})))
    (copied_run / "report.html").unlink()
    with pytest.raises(CheckpointError, match="encoded from other data; remove the folder"):
        run(formula_domain, copied_run, resume=True)


def change_record(folder: Path, **changes: object) -> None:
    """Alter facts of a checkpoint; `None` leaves one out."""
    record = json.loads((folder / "state.json").read_text()) | changes
    (folder / "state.json").write_text(resealed(json.dumps({k: v for k, v in record.items() if v is not None})))


def test_stages_name_the_autoencoder_s_weights(finished_run):
    weights = hashlib.sha256((finished_run / "autoencoder" / "final" / "weights.safetensors").read_bytes()).hexdigest()
    for stage in ("latents", "denoiser"):
        assert checkpoint.load(finished_run / stage / "final").record["autoencoder"] == weights


@pytest.mark.parametrize("stage", ["latents", "denoiser"])
def test_a_stage_of_another_autoencoder_is_refused_and_its_folder_named(stage, copied_run, formula_domain):
    change_record(copied_run / stage / "final", autoencoder="0" * 64)
    with pytest.raises(CheckpointError, match=f"other weights of the autoencoder.*folder .*{stage} and continue"):
        run(formula_domain, copied_run, resume=True)
    if stage == "denoiser":
        with pytest.raises(CheckpointError, match="other weights of the autoencoder"):
            report.load(copied_run)


def test_half_a_denoiser_of_another_autoencoder_is_not_trained_further(copied_run, formula_domain):
    remove(copied_run / "denoiser" / "final")
    group = {"none": {}}
    checkpoint.save(copied_run / "denoiser" / "step-00000020", group, {"autoencoder": "0" * 64, "step": 20})
    with pytest.raises(CheckpointError, match=r"has autoencoder '0000.*remove the folder .*denoiser$"):
        run(formula_domain, copied_run, resume=True)


def test_stages_that_do_not_name_their_autoencoder_are_accepted(copied_run, formula_domain):
    for stage in ("latents", "denoiser"):
        change_record(copied_run / stage / "final", autoencoder=None)
    run(formula_domain, copied_run, resume=True)
    report.load(copied_run)


@pytest.mark.parametrize("stage", ["autoencoder", "denoiser"])
def test_weights_of_another_plugin_are_refused(stage, copied_run, formula_domain):
    change_record(copied_run / stage / "final", plugin="other")
    for action in (lambda: run(formula_domain, copied_run, resume=True), lambda: report.load(copied_run)):
        with pytest.raises(CheckpointError, match=f"{stage} are of plugin 'other', not of '{formula_domain.name}'"):
            action()


def test_damaged_final_weights_are_refused_and_not_trained_over(copied_run, formula_domain):
    path = copied_run / "autoencoder" / "final" / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(CheckpointError, match="truncated or altered"):
        run(formula_domain, copied_run, resume=True)


def test_damaged_metrics_are_made_again(copied_run, formula_domain, finished_run):
    (copied_run / "metrics.json").write_text('{"figures": [')
    with pytest.raises(CheckpointError, match="write it again with ddmi evaluate"):
        report.build_report(copied_run)
    assert "figures: metrics.json is not what was written; made again" in run(formula_domain, copied_run, resume=True)
    assert contents(copied_run) == contents(finished_run)


@pytest.mark.parametrize(("stage", "table"), [("autoencoder", "autoencoder"), ("denoiser", "diffusion")])
def test_a_rate_that_diverges_ends_with_the_stage_the_step_and_the_fix(stage, table, tmp_path):
    sets = (f"{table}.training.rate=1e6", f"{table}.training.warmup=0")
    with pytest.raises(TrainingError) as caught:
        run(DOMAINS["wave"], tmp_path / "run", *sets)
    fix = rf"lower {table}\.training\.rate, which is 1e\+06\. .*start a new run with another --out folder, or .*run$"
    assert re.search(rf"of stage '{stage}' is (nan|inf) at step \d+; .*{fix}", str(caught.value))
    assert caught.value.exit_status == 1
    assert not (tmp_path / "run" / stage / "final").exists()


def test_an_unconditional_run_of_labelled_data(tmp_path):
    run(DOMAINS["wave"], tmp_path / "run", "diffusion.condition=none")
    assert (tmp_path / "run" / "report.html").exists()


def test_a_run_with_every_option_on(formula_domain, tmp_path):
    sets = (
        "autoencoder.equivariance=0.1",
        "autoencoder.adversarial.start=20",
        "autoencoder.adversarial.width=4",
        "autoencoder.training.precision=bf16",
        "diffusion.copies=3",
        "diffusion.denoiser.kind=unet",
        "diffusion.denoiser.width=8",
        "diffusion.denoiser.multipliers=[1, 2]",
        "diffusion.training.steps=20",
        "autoencoder.training.steps=30",
        "diffusion.path.kind=variance_preserving",
        "diffusion.target=noise",
        "sampling.guidance=2.0",
        "sampling.sampler=ancestral",
    )
    run(formula_domain, tmp_path / "run", *sets)
    result = Evaluation.load(tmp_path / "run" / "metrics.json")
    assert next(f for f in result.figures if f.name == "kid_plain").protocol["sampler"] == "ancestral"
    assert sum(checkpoint.load(tmp_path / "run" / "latents" / "final").record["counts"]) == 60


def test_without_held_out_signals_the_data_are_refused_in_words(finished_runs, monkeypatch):
    class Nothing(SignalSet):
        names, classes, labels = (), (), None

        def batch(self, indices, generator=None):
            raise AssertionError

        def fingerprint(self):
            return ""

    wave = DOMAINS["wave"]
    split = load_data(build_parts(wave, formula_domains.FormulaSettings()), "")
    model = report.load(finished_runs["wave"])
    with pytest.raises(DataError, match="no signal is held out"):
        evaluate.measure(model, Split(split.train, Nothing()))
