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

import formula_domains
from ddmi_core.errors import DataError
from ddmi_core.evaluation import evaluate
from ddmi_core.model import latent_cache
from ddmi_core.model.model import Model
from ddmi_core.out_of_memory import OutOfMemoryError, is_out_of_memory, lowering, size
from ddmi_core.runs import rehearsal
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
