"""Conditions as vectors: the model depends on them, learns them, and knows their absence."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ddmi_core.diffusion.config import DenoiserConfig, DiffusionConfig
from ddmi_core.diffusion.denoisers.embeddings import ClassCondition, VectorCondition, marked
from ddmi_core.diffusion.latent_diffusion import DenoisingObjective, LatentDiffusion
from ddmi_core.diffusion.latents import LatentShape
from ddmi_core.diffusion.samplers import sampler_named
from ddmi_core.training.objective import StepContext, generator_for
from plane_layouts import LAYOUTS, cells_of, planes

LAYOUT = LAYOUTS["line"] if "line" in LAYOUTS else next(iter(LAYOUTS.values()))
SHAPE = LatentShape.of(planes(LAYOUT, 1, cells_of(LAYOUT, 4, 4)))


def model(vectors: int, **changes) -> LatentDiffusion:
    torch.manual_seed(0)
    denoiser = DenoiserConfig(kind="transformer", width=16, blocks=1, heads=2)
    return LatentDiffusion(LAYOUT, SHAPE, 0, DiffusionConfig(denoiser=denoiser, **changes), vectors)


def context(step: int, indices: tuple[int, ...]) -> StepContext:
    return StepContext(step, indices, generator_for(0, "test", step), torch.device("cpu"))


def given_in(objective: DenoisingObjective, monkeypatch, steps: int, indices=(0, 1)) -> Tensor:
    """All conditions that the model is given in some steps, `(n, F + 1)`."""
    seen = []
    forward = objective.trained.forward

    def watched(noisy, times, given):
        seen.append(given)
        return forward(noisy, times, given)

    monkeypatch.setattr(objective.trained, "forward", watched)
    for step in range(steps):
        objective(context(step, indices))
    return torch.cat(seen)


def test_a_zero_vector_is_a_condition_and_not_the_absence_of_one():
    condition = VectorCondition(3, 8)
    zero, none = marked(torch.zeros(1, 3)), condition.none(1)
    assert not torch.allclose(condition(zero), condition(none))
    assert condition(zero).shape == (1, 8)


def test_no_class_is_the_row_after_the_classes():
    assert ClassCondition(3, 8).none(2).tolist() == [3, 3]
    assert ClassCondition(0, 8).none(1).tolist() == [0]


def test_each_of_several_vectors_of_a_signal_is_seen_and_no_other(monkeypatch):
    vectors = torch.tensor([[[1.0], [2.0]], [[3.0], [4.0]]])
    objective = DenoisingObjective(model(1, drop_condition=0.0), torch.zeros(2, SHAPE.length), vectors)
    seen = given_in(objective, monkeypatch, 20)
    assert set(seen[0::2, 0].tolist()) == {1.0, 2.0}
    assert set(seen[1::2, 0].tolist()) == {3.0, 4.0}
    assert seen[:, 1].eq(1).all()


@pytest.mark.parametrize(("drop", "present"), [(0.0, 1.0), (1.0, 0.0)])
def test_vectors_are_dropped_whole(drop, present, monkeypatch):
    objective = DenoisingObjective(model(2, drop_condition=drop), torch.zeros(2, SHAPE.length), torch.ones(2, 1, 2))
    seen = given_in(objective, monkeypatch, 3)
    assert seen.eq(present).all()


def test_samples_follow_the_vector_that_they_are_given():
    """Latents are constant, at the value of their vector: samples must be near the value asked for."""
    values = torch.linspace(-1, 1, 32)
    module = model(1)
    objective = DenoisingObjective(module, values[:, None].expand(-1, SHAPE.length).contiguous(), values.view(-1, 1, 1))
    optimiser = torch.optim.Adam(module.parameters(), lr=1e-2)
    for step in range(250):
        loss = objective(context(step, tuple(range(32)))).total
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    asked = torch.tensor([-0.8, 0.0, 0.8]).repeat_interleave(8)
    noise = torch.randn(24, SHAPE.length, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        drawn = sampler_named("dpmpp_2m")(
            module.denoiser(marked(asked[:, None])), module.path, noise, module.path.times(8)
        )
    assert (drawn.mean(dim=1) - asked).abs().mean() < 0.15


def test_embeddings_of_classes_start_with_a_deviation_of_one_half():
    torch.manual_seed(0)
    assert ClassCondition(500, 64).weight.std().item() == pytest.approx(0.5, rel=0.02)
