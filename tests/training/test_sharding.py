"""Processes that divide a denoiser train it to the losses of copies, and everybody reads its checkpoints."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from attrs import evolve
from rich.console import Console
from sharded_steps import STEPS, model_and_settings, objective, stage

from ddmi_core.autoencoder.config import AutoencoderConfig
from ddmi_core.errors import RequestError
from ddmi_core.registry.extensions import part
from ddmi_core.runs import pipeline
from ddmi_core.settings.resolve import resolve
from ddmi_core.training import checkpoint
from ddmi_core.training.checkpoint import FINAL, load_final
from ddmi_core.training.config import TrainingConfig
from ddmi_core.training.log import Log
from ddmi_core.training.sharding import divided, local, whole
from ddmi_core.training.trainer import train
from processes import two_processes

place, told = two_processes(Path(__file__).with_name("sharded_steps.py"), timeout=240)


def losses(folder: Path) -> list[float]:
    return [record["loss"] for record in Log(folder / "log.jsonl").records()]


def test_each_process_holds_half_of_the_weights(told):
    shares = [process["divided"][0] for process in told]
    (total,) = {process["divided"][1] for process in told}
    assert sum(shares) == total
    assert max(shares) < 0.55 * total
    assert [process["replicated"] for process in told] == [[total, total]] * 2


def test_recomputed_activations_change_no_loss(place):
    assert losses(place / "recomputed") == pytest.approx(losses(place / "replicated"), rel=1e-5)


@pytest.mark.parametrize("optimizer", ["", "-muon"])
def test_losses_and_weights_are_those_of_copies(place, optimizer):
    replicated, found = losses(place / f"replicated{optimizer}"), losses(place / f"divided{optimizer}")
    assert len(found) == STEPS
    assert found == pytest.approx(replicated, rel=1e-5)
    assert replicated[-1] != replicated[0]
    expected, model = model_and_settings()[0], model_and_settings()[0]
    load_final(place / f"replicated{optimizer}" / "stage", expected)
    load_final(place / f"divided{optimizer}" / "stage", model)
    for name, tensor in model.state_dict().items():
        assert torch.allclose(tensor, expected.state_dict()[name], rtol=1e-4, atol=2e-6), name


def test_the_optimizers_differ(place):
    models = [model_and_settings()[0] for _ in range(2)]
    for model, name in zip(models, ("divided", "divided-muon"), strict=True):
        load_final(place / name / "stage", model)
    adamw, muon = (dict(model.named_parameters()) for model in models)
    assert any((adamw[name] - muon[name]).abs().max() > 1e-5 for name in adamw)


def test_one_process_samples_from_the_final_weights(place):
    model, _ = model_and_settings()
    load_final(place / "divided" / "stage", model)
    noise = torch.randn(1, model.shape.length, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        sample = part("samplers", "ddim")(model.eval().denoiser(), model.path, noise, model.path.times(4))
    assert sample.shape == noise.shape
    assert sample.isfinite().all()


def test_a_stop_and_resumption_give_the_same_bytes(place, told):
    assert [process["stopped"][:14] for process in told] == ["at step 5 of 8"] * 2
    whole, resumed = (place / name / "stage" / FINAL for name in ("divided", "stopped"))
    assert (whole / "weights.safetensors").read_bytes() == (resumed / "weights.safetensors").read_bytes()


def test_one_process_goes_on_from_a_checkpoint_of_two(place):
    _, training = model_and_settings()
    train(stage(place / "alone", evolve(training, shard=True)), {"denoiser": objective()})
    assert losses(place / "alone") == pytest.approx(losses(place / "divided"), rel=1e-5)


def test_a_loss_of_one_that_is_not_finite_ends_both_and_changes_no_weights(place, told):
    for process in told:
        assert "is nan at step 5; the checkpoint of step 4 is kept" in process["spoilt"]
    kept = checkpoint.load(place / "spoilt" / "stage" / "step-00000004").tensors("denoiser")
    assert all(tensor.isfinite().all() for tensor in kept.values())


@pytest.mark.parametrize("changes", [{"compile": True}, {"precision": "auto"}, {"precision": "fp16"}])
def test_what_does_not_work_with_divided_weights_is_refused(changes):
    (name,) = changes
    with pytest.raises(ValueError, match=f"shard .*{name}.*Fix"):
        TrainingConfig(shard=True, **changes)


def test_the_first_stage_is_not_divided():
    with pytest.raises(ValueError, match=r"set diffusion\.training\.shard"):
        AutoencoderConfig(training=TrainingConfig(shard=True))


def test_a_callback_cannot_read_a_divided_network(formula_domain, tmp_path, monkeypatch):
    monkeypatch.setattr(pipeline, "part", lambda *given: print)
    config = resolve(formula_domain, overrides=["diffusion.training.shard=true"])
    console = Console(quiet=True)
    with pytest.raises(RequestError, match=r"--callback weight-norm, or set diffusion\.training\.shard=false"):
        pipeline.execute(
            config, formula_domain, tmp_path / "run", resume=False, console=console, callbacks=["weight-norm"]
        )


def test_a_tensor_of_one_process_is_whole():
    tensor = torch.arange(3.0)
    assert whole(tensor) is local(tensor) is divided(tensor, tensor) is tensor
