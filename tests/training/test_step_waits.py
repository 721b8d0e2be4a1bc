"""A step of training waits for nothing: no value is read from the device, and processes exchange gradients alone."""

from __future__ import annotations

import pytest
import torch
from attrs import evolve
from step_operators import Waits, count_in_steps

from ddmi_core.autoencoder.config import AdversarialConfig
from ddmi_core.diffusion.latent_diffusion import DenoisingObjective
from ddmi_core.diffusion.latents import LatentShape
from ddmi_core.model.build import autoencoder_objectives, build_autoencoder, build_diffusion
from ddmi_core.model.data import load_data
from ddmi_core.parts.domain_parts import build_parts
from ddmi_core.training.log import Log
from ddmi_core.training.objective import Objective
from ddmi_core.training.trainer import Stage, train


def objectives(domain, config, name: str) -> dict[str, Objective]:
    if name == "denoiser":
        shape = LatentShape(2, [(4,) * len(plane) for plane in domain.layout.planes])
        latents = torch.randn(20, shape.length, generator=torch.Generator().manual_seed(0))
        return {name: DenoisingObjective(build_diffusion(domain, config, shape, 2), latents, torch.arange(20) % 2)}
    parts = build_parts(domain, config.domain)
    return autoencoder_objectives(parts, config, build_autoencoder(parts, config), load_data(parts, ""))


@pytest.mark.parametrize("name", ["autoencoder", "denoiser"])
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_ten_steps_read_no_value(name, precision, formula_domain, formula_config, tmp_path):
    training = evolve(formula_config.autoencoder.training, steps=14, log=14, accumulation=2, precision=precision)
    adversarial = AdversarialConfig(start=1, width=4)
    config = evolve(formula_config, autoencoder=evolve(formula_config.autoencoder, adversarial=adversarial))
    players = objectives(formula_domain, config, name)
    waits = count_in_steps(next(iter(players.values())), 2, 12)
    train(Stage(name, tmp_path / "stage", training, 0, Log(tmp_path / "log.jsonl")), players)
    assert waits.counts == {}


def test_values_that_are_read_are_counted():
    with Waits() as waits:
        torch.ones(()).item()
        float(torch.ones(()))
        bool(torch.ones(2).isfinite().all())
    assert waits.counts == {"aten::_local_scalar_dense": 3}
