"""Training that cannot fit into the memory is refused before stage 1, and what fits is not."""

from __future__ import annotations

import pytest
import torch
from attrs import evolve
from torch import nn

import formula_domains
from ddmi_core.blocks import Block
from ddmi_core.errors import ConfigError
from ddmi_core.model import build, memory
from ddmi_core.model.loading import load
from ddmi_core.model.memory import SPARE, StageMemory, check_fits, free_on, kept_by, to_lower
from ddmi_core.out_of_memory import OutOfMemoryError
from ddmi_core.runs import pipeline, rehearsal
from ddmi_core.training.config import TrainingConfig
from whole_runs import run

CPU = torch.device("cpu")
STAGE = StageMemory("diffusion", TrainingConfig(batch=12), 1000, (700, 1200))


def test_a_step_needs_its_state_or_most_of_it_with_the_activations():
    assert STAGE.state == 20_000
    assert STAGE.kept == 700 + 11 * 500
    assert STAGE.least == 16_000 + 6200
    assert evolve(STAGE, activations=(0, 0)).least == 20_000


def test_accumulation_and_reduced_precision_lower_it():
    parts = evolve(STAGE, training=TrainingConfig(batch=12, accumulation=4))
    assert (parts.signals, parts.kept) == (3, 700 + 2 * 500)
    for precision in ("bf16", "fp16", "auto"):
        assert evolve(STAGE, training=TrainingConfig(batch=12, precision=precision)).kept == STAGE.kept // 2


def test_what_does_not_depend_on_the_signals_counts_once():
    assert evolve(STAGE, activations=(700, 700)).kept == 700
    assert evolve(STAGE, activations=(100, 900)).kept == 100 + 11 * 450  # at most half of two


class Squares(Block):
    """Keeps its input for each of three products."""

    def forward(self, values):
        return values.square().square().square()


def test_blocks_that_compute_again_keep_less():
    network = nn.Sequential(Squares(), Squares(), Squares())
    values = torch.ones(1000, requires_grad=True)
    assert kept_by(lambda: network(values), network, recompute=False) == 9 * 4000
    assert kept_by(lambda: network(values), network, recompute=True) < 7 * 4000


def test_weights_do_not_count():
    network = nn.Linear(100, 100, bias=False)
    values = torch.ones(1, 100)
    assert kept_by(lambda: network(values), network, recompute=False) == 400


def test_only_what_surely_does_not_fit_is_refused():
    check_fits([STAGE], int(STAGE.least / SPARE) + 1, CPU)
    with pytest.raises(ConfigError) as caught:
        check_fits([STAGE], int(STAGE.least / SPARE) - 1, CPU)
    told = str(caught.value)
    for words in ("the diffusion requires at least", "12 signals at once", "free. Fix: ", "diffusion.denoiser.width"):
        assert words in told


@pytest.mark.parametrize(
    ("training", "told", "left"),
    [
        (TrainingConfig(batch=12, accumulation=3), ["accumulation=6", "gradient_checkpointing"], []),
        (TrainingConfig(batch=12, accumulation=12), ["gradient_checkpointing", "training.batch"], ["accumulation="]),
        (TrainingConfig(batch=1, gradient_checkpointing=True), ["widths"], ["=true", "accumulation", "batch"]),
    ],
)
def test_settings_without_effect_are_not_advised(training, told, left):
    words = to_lower("autoencoder", training)
    assert all(each in words for each in told)
    assert not any(each in words for each in left)


def test_weights_that_cannot_fit_end_a_run_before_its_data_are_read(tmp_path, monkeypatch):
    def load(*_):
        raise AssertionError("data were read")

    monkeypatch.setattr(pipeline, "load_data", load)
    monkeypatch.setattr(build, "free_on", lambda device: 10_000)
    with pytest.raises(ConfigError, match=r"training of the autoencoder requires at least .* 10000 bytes free"):
        run(formula_domains.WAVE, tmp_path / "run")
    assert not (tmp_path / "run" / "autoencoder").exists()


@pytest.mark.parametrize("stage", ["autoencoder", "diffusion"])
def test_activations_that_cannot_fit_end_a_run_before_stage_1(stage, tmp_path, monkeypatch):
    found = []
    monkeypatch.setattr(rehearsal, "check_fits", lambda stages, free, device: found.extend(stages))
    settings = [f"{stage}.training.batch=1048576"]
    run(formula_domains.WAVE, tmp_path / "fits", f"{stage}.training.batch=4")
    small = {each.key: each for each in found}[stage]
    assert small.signals == 4
    assert small.kept > 0
    monkeypatch.setattr(rehearsal, "check_fits", check_fits)
    monkeypatch.setattr(rehearsal, "free_on", lambda device: 100 * small.least)
    with pytest.raises(ConfigError, match=rf"{stage} requires at least .* 1048576 signals at once .*accumulation=2"):
        run(formula_domains.WAVE, tmp_path / "run", *settings)
    assert not (tmp_path / "run" / "autoencoder").exists()


def test_a_run_resumed_with_finished_latents_is_refused_before_stage_2(tmp_path, monkeypatch):
    def stopping(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(pipeline, "_denoiser", stopping)
        with pytest.raises(KeyboardInterrupt):
            run(formula_domains.WAVE, tmp_path / "run")
    found = []
    with monkeypatch.context() as patched:
        patched.setattr(rehearsal, "check_fits", lambda stages, free, device: found.extend(stages))
        patched.setattr(pipeline, "train", stopping)
        with pytest.raises(KeyboardInterrupt):
            run(formula_domains.WAVE, tmp_path / "run", resume=True)
    assert [stage.key for stage in found] == ["diffusion"]
    assert found[0].kept > 0
    monkeypatch.setattr(rehearsal, "free_on", lambda device: int(found[0].least / SPARE) - 1)
    with pytest.raises(ConfigError, match=r"training of the diffusion requires at least .* Fix: "):
        run(formula_domains.WAVE, tmp_path / "run", resume=True)
    assert not list((tmp_path / "run" / "denoiser").glob("*"))


def test_weights_that_cannot_be_loaded_are_refused(finished_run, monkeypatch):
    stored = [finished_run / stage / "final" / "weights.safetensors" for stage in ("autoencoder", "denoiser")]
    needed = sum(path.stat().st_size for path in stored)
    monkeypatch.setattr(memory, "free_on", lambda device: int(needed / SPARE) + 1)
    load(finished_run)
    monkeypatch.setattr(memory, "free_on", lambda device: int(needed / SPARE) - 1)
    with pytest.raises(OutOfMemoryError, match=r"the loading of the model: its weights require .* free\. Fix: "):
        load(finished_run)


def test_the_free_memory_of_the_machine_includes_what_it_can_swap():
    assert free_on(CPU) > 1 << 20
