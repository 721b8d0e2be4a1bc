"""Exhausted memory, of the CPU and of GPUs, ends in one sentence with the step and the settings to lower."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import weakref

import numpy as np
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

import ddmi_core.model.loading
import formula_domains
from ddmi_core.cli.main import app
from ddmi_core.errors import DataError
from ddmi_core.evaluation import evaluate
from ddmi_core.model import latent_cache
from ddmi_core.model.model import Model
from ddmi_core.out_of_memory import OutOfMemoryError, is_out_of_memory, lowering, size
from ddmi_core.runs import pipeline, rehearsal
from ddmi_core.runs.generate import sample_files
from ddmi_core.settings.config import Export, Sampling
from ddmi_core.training import trainer
from processes import environment
from whole_runs import run

HUGE = 1 << 60  # bytes
CUDA = "CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has a total capacity of 139.00 GiB of which 1.00 GiB"


def of_torch(*_, **__):
    torch.empty(HUGE, dtype=torch.uint8)


def of_numpy(*_, **__):
    np.empty(HUGE, dtype=np.uint8)


def raised(error):
    def call(*_, **__):
        raise error

    return call


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (of_torch, "asked for 1,073,741,824.0 GiB more"),
        (of_numpy, "asked for 1,073,741,824.0 GiB more"),
        (raised(MemoryError()), "this process holds"),
        (raised(OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))), "this process holds"),
        (raised(RuntimeError("std::bad_alloc")), "this process holds"),
        (raised(torch.OutOfMemoryError(CUDA)), "asked for 20.0 GiB more"),
        (raised(RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate`")), "of the GPU"),
    ],
)
def test_memory_errors_of_all_libraries_name_the_step_and_the_settings(call, told):
    with pytest.raises(OutOfMemoryError) as caught, lowering("the sampling", "give a lower -n"):
        call()
    words = str(caught.value)
    assert words.startswith("out of memory in the sampling: ")
    assert told in words
    assert "Fix: give a lower -n" in words
    assert ("CUDA_VISIBLE_DEVICES" in words) == ("of the GPU" in words)


@pytest.mark.parametrize(
    "error", [RuntimeError("shapes do not fit"), OSError(errno.ENOSPC, ""), ValueError("out of memory"), DataError("x")]
)
def test_other_errors_pass_unchanged(error):
    assert not is_out_of_memory(error)
    with pytest.raises(type(error)) as caught, lowering("the sampling", "give a lower -n"):
        raise error
    assert caught.value is error


def test_libraries_that_are_not_mapped_lack_memory_if_little_is_free(monkeypatch):
    error = ImportError("/lib/x.so: failed to map segment from shared object")
    for free, told in ((1 << 20, True), (1 << 40, False)):
        monkeypatch.setattr("ddmi_core.out_of_memory.free_memory", lambda free=free: free)
        assert is_out_of_memory(error) is told


def test_sizes_are_in_units_for_people():
    assert [size(number) for number in (5, 3 << 20, 5 << 29)] == ["5 bytes", "3.0 MiB", "2.5 GiB"]


@pytest.mark.parametrize(
    ("place", "name", "told"),
    [
        (rehearsal, "_values", ("the trial before training", "autoencoder.points")),
        (trainer, "_advance", ("the stage 'autoencoder'", "--set autoencoder.training.accumulation=", "--resume")),
        (latent_cache, "encode_shards", ("the encoding of the training signals", "autoencoder.encoder.widths")),
        (Model, "denoised", ("the sampling", "-n below")),
        (Model, "write", ("the rendering", "--size")),
        (evaluate, "reconstruction_figures", ("the evaluation", "evaluation.samples")),
        (ddmi_core.model.loading, "check_origin", ("the loading of the model", "close other programs")),
        (pipeline, "write_report", ("the step 'report'", "close other programs")),
    ],
)
def test_every_step_of_a_run_names_what_lowers_its_memory(place, name, told, tmp_path, monkeypatch):
    tried = rehearsal.rehearse
    if place is not rehearsal:  # whose steps pass unchanged

        def rehearse(*arguments):
            with monkeypatch.context() as before:
                before.setattr(place, name, original)
                return tried(*arguments)

        monkeypatch.setattr("ddmi_core.runs.pipeline.rehearse", rehearse)
    original = getattr(place, name)
    monkeypatch.setattr(place, name, of_torch)
    with pytest.raises(OutOfMemoryError) as caught:
        run(formula_domains.WAVE, tmp_path / "run")
    assert all(words in str(caught.value) for words in told), str(caught.value)


COMMANDS = {
    "sample": ["sample", "RUN", "-n", "1", "--out", "OUT"],
    "reconstruct": ["reconstruct", "RUN", "INPUT", "--out", "OUT"],
    "complete": ["complete", "RUN", "INPUT", "--observe", "t<0", "--out", "OUT"],
    "conditions": ["conditions", "RUN"],
    "view": ["view", "RUN", "--no-open"],
    "report": ["report", "RUN"],
    "evaluate": ["evaluate", "RUN"],
    "evaluate --sweep": ["evaluate", "RUN", "--sweep"],
}


def ended(command, run, folder):
    """What a command says that ends with an error."""
    np.save(folder / "input.npy", np.zeros(16, np.float32))
    places = {"RUN": run, "INPUT": folder / "input.npy", "OUT": folder / "out"}
    done = CliRunner().invoke(app, [str(places.get(word, word)) for word in COMMANDS[command]])
    assert done.exit_code == 1, done.output
    assert "Traceback" not in done.output
    return " ".join(done.output.split())


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_that_loads_a_model_says_so(command, finished_runs, tmp_path, monkeypatch):
    # Torch's own error would be taken for weights of another architecture.
    monkeypatch.setattr(nn.Module, "load_state_dict", of_torch)
    told = ended(command, finished_runs["wave"], tmp_path)
    assert "error: out of memory in the loading of the model: this process holds" in told
    assert "Fix: close other programs, or use a machine with more memory" in told


@pytest.mark.parametrize(
    ("command", "place", "told"),
    [
        ("evaluate --sweep", "ddmi_core.model.model.Model.denoised", ("the table of samplers", "evaluation.samples")),
        ("report", "ddmi_core.report.report.write_report", ("the command 'ddmi report'", "close other programs")),
        ("sample", "ddmi_core.cli.model_source.check_run", ("the command 'ddmi sample'", "a lower -n, or give a")),
    ],
)
def test_every_step_of_a_command_has_a_name(command, place, told, finished_runs, tmp_path, monkeypatch):
    monkeypatch.setattr(place, of_torch)
    said = ended(command, finished_runs["wave"], tmp_path)
    assert "asked for 1,073,741,824.0 GiB more" in said
    assert all(words in said for words in (*told, "Fix: ")), said


def test_an_error_that_hides_exhausted_memory_tells_it():
    @lowering("the reading", "give a smaller file")
    def read():
        try:
            of_numpy()
        except MemoryError as error:
            raise DataError("the file is damaged") from error

    with pytest.raises(OutOfMemoryError, match="out of memory in the reading"):
        read()


@pytest.mark.skipif(sys.platform != "linux", reason="limits of address space are those of Linux")
def test_a_command_beyond_the_limit_of_memory_ends_in_a_sentence(tmp_path):
    # The limit is taken once everything is imported, and leaves room for a part of the work.
    program = (
        "import resource, sys, psutil, torch\n"
        "import ddmi_core.runs.generate, ddmi_core.model.model, ddmi_image.plugin\n"
        "from ddmi_core.cli.main import main\n"
        "torch.set_num_threads(1)\n"
        "most = psutil.Process().memory_info().vms + (120 << 20)\n"
        "resource.setrlimit(resource.RLIMIT_AS, (most, most))\n"
        "main(sys.argv[1:])\n"
    )
    words = ["sample", "--plugin", "image", "-n", "1", "--steps", "1", "--size", "2048", "--out", str(tmp_path / "out")]
    done = subprocess.run(
        [sys.executable, "-c", program, *words],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    told = " ".join(done.stderr.split())
    assert done.returncode == 1, told
    assert "error: out of memory" in told
    assert "Fix: " in told
    assert "Traceback" not in told


def test_sampling_holds_the_fields_of_one_part_at_a_time(model, tmp_path, monkeypatch):
    for place in ("ddmi_core.model.model", "ddmi_core.runs.generate"):
        monkeypatch.setattr(f"{place}.LARGEST_BATCH", 2)
    made, parts = Model.fields, []

    def fields(self, flat):
        assert not any(part() for part in parts)
        found = made(self, flat)
        parts.append(weakref.ref(found))
        return found

    monkeypatch.setattr(Model, "fields", fields)
    paths = sample_files(model, 5, Sampling(steps=1), Export(out=tmp_path))
    assert (len(paths), len(parts)) == (5, 3)
    assert all(path.exists() for path in paths)
