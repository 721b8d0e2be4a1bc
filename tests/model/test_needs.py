"""What training requires: counts without values equal those of a real step."""

from __future__ import annotations

import pytest
import torch
from attrs import evolve

from ddmi_core.api import Split
from ddmi_core.errors import PluginError
from ddmi_core.model import needs
from ddmi_core.model.build import autoencoder_objectives, build_autoencoder
from ddmi_core.model.counts import count
from ddmi_core.model.needs import stage_needs
from ddmi_core.parts.domain_parts import build_parts
from ddmi_core.registry.registry import domain_named
from ddmi_core.runs import training_needs as estimate
from ddmi_core.runs.training_needs import TrainingNeeds
from ddmi_core.settings.resolve import resolve
from ddmi_core.training.objective import StepContext

ATTENTION = ["autoencoder.decoder.attention=[4]", "autoencoder.decoder.middle=true"]
STAGE = needs.StageNeeds(parameters=50, state=1000, activations=300, signals=4, flops=7_000_000, steps=10, batch=8)


def needed(name, *overrides):
    domain = domain_named(name)
    config = resolve(domain, "quick", overrides=overrides)
    return build_parts(domain, config.domain), config


@pytest.mark.parametrize(
    ("name", "overrides"),
    [("image", []), ("image", ATTENTION), ("occupancy", []), ("nerf", ["domain.samples=8"]), ("video", [])],
)
def test_activations_are_what_a_real_step_keeps(name, overrides):
    parts, config = needed(name, "autoencoder.perceptual.kind=none", *overrides)
    blanks = needs.BlankSignals(parts)
    model = build_autoencoder(parts, config)
    (objective,) = autoencoder_objectives(parts, config, model, Split(blanks, blanks)).values()
    weights = {weight.data_ptr() for weight in objective.parameters()}
    kept = {}

    def keep(tensor):
        if tensor.untyped_storage().data_ptr() not in weights:
            kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage()
        return tensor

    step = config.autoencoder.training.steps
    context = StepContext(step, (0,), torch.Generator().manual_seed(0), torch.device("cpu"))
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        objective(context).total.backward()
    real = sum(storage.nbytes() for storage in kept.values())
    found = stage_needs(parts, config)["autoencoder"]
    assert found.activations == pytest.approx(real, rel=0.01)
    assert found.parameters == sum(weight.numel() for weight in objective.trained.parameters())
    assert found.state == 20 * found.parameters


def test_a_frozen_autoencoder_counts_where_latents_are_fresh():
    cached = stage_needs(*needed("image"))["diffusion"]
    parts, config = needed("image", "diffusion.latents=fresh", "diffusion.copies=1")
    fresh = stage_needs(parts, config)["diffusion"]
    weights = sum(weight.numel() for weight in build_autoencoder(parts, config).parameters())
    assert (cached.state, fresh.state) == (20 * cached.parameters, 20 * cached.parameters + 4 * weights)
    assert fresh.activations == cached.activations
    assert fresh.flops > cached.flops


def test_both_passes_take_about_three_times_the_operations_of_the_forward_one():
    parts, config = needed("image")
    stage = stage_needs(parts, config)["diffusion"]
    assert stage.flops / count(parts, config).flops.denoiser == pytest.approx(3, abs=0.05)


def test_memory_is_that_of_the_signals_in_memory_and_time_that_of_the_batch():
    assert STAGE.memory == 1000 + 4 * 300
    assert STAGE.seconds(1e6) == 10 * 8 * 7
    parts, config = needed("image", "diffusion.training.batch=24", "diffusion.training.accumulation=3")
    stage = stage_needs(parts, config)["diffusion"]
    assert (stage.signals, stage.batch) == (8, 24)


@pytest.mark.parametrize(
    ("free", "says"), [(5000, "both stages fit"), (2500, "diffusion does not fit"), (1, " do not fit")]
)
def test_what_does_not_fit_is_named(free, says):
    found = TrainingNeeds({"autoencoder": STAGE, "diffusion": evolve(STAGE, state=2000)}, "GPU", free, 1e6, "products")
    *rows, device, _ = found.lines()
    assert says in device
    assert [row.split()[0] for row in rows] == ["training", "autoencoder", "diffusion"]
    assert found.to_json()["stages"]["autoencoder"]["memory"] == 2200


def test_a_part_that_requires_values_is_named(monkeypatch):
    parts, config = needed("image")
    monkeypatch.setattr(
        type(parts), "loss", staticmethod(lambda values, targets: values.sum(dim=2) * values.max().item())
    )
    with pytest.raises(PluginError, match="'image': its training cannot be counted without values"):
        stage_needs(parts, config)


@pytest.mark.parametrize("native", [True, False])
@pytest.mark.parametrize("precision", ["auto", "bf16", "fp32"])
def test_time_counts_the_numbers_that_training_would_use(monkeypatch, precision, native):
    monkeypatch.setattr(estimate, "stage_needs", lambda parts, config: {"autoencoder": STAGE, "diffusion": STAGE})
    monkeypatch.setattr(estimate, "native_bf16", lambda device: native)
    monkeypatch.setattr(estimate, "product_rate", lambda dtype, device: float(dtype.itemsize))
    stages = ("autoencoder", "diffusion")
    parts, config = needed("image", *(f"{stage}.training.precision={precision}" for stage in stages))
    found = estimate.training_needs(parts, config)
    bits = 16 if precision == "bf16" or (precision == "auto" and native) else 32
    assert (found.rate, found.products) == (bits / 8, f"matrix products of {bits}-bit numbers")
