"""The latent diffusion model and its objective."""

from __future__ import annotations

import pytest
import torch
from attrs import evolve

from ddmi_core.diffusion.config import DenoiserConfig, DiffusionConfig, PathConfig
from ddmi_core.diffusion.latent_diffusion import DenoisingObjective, LatentDiffusion
from ddmi_core.diffusion.latents import LatentShape
from ddmi_core.diffusion.parameterization import target_from
from ddmi_core.diffusion.samplers import sampler_named
from ddmi_core.registry.extensions import names
from ddmi_core.training.objective import StepContext, generator_for
from plane_layouts import LAYOUTS, cells_of, perturbed, planes

LAYOUT = LAYOUTS["mixed"]
SHAPE = LatentShape.of(planes(LAYOUT, 2, cells_of(LAYOUT, 3, 4)))
PATHS = ("variance_preserving", "rectified_flow")


def configured(**changes) -> DiffusionConfig:
    kind = changes.pop("kind", "transformer")
    path = PathConfig(kind=changes.pop("path", "rectified_flow"))
    denoiser = DenoiserConfig(kind=kind, width=16, blocks=1, heads=2, multipliers=(1, 2))
    return DiffusionConfig(denoiser=denoiser, path=path, **changes)


def model(classes: int = 3, **changes) -> LatentDiffusion:
    torch.manual_seed(0)
    return LatentDiffusion(LAYOUT, SHAPE, classes, configured(**changes))


def random(batch: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(batch, SHAPE.length, generator=torch.Generator().manual_seed(seed))


def context(step: int = 0, indices=(0, 1, 2, 3)) -> StepContext:
    return StepContext(step, indices, generator_for(0, "test", step), torch.device("cpu"))


@pytest.mark.parametrize("kind", names("denoisers"))
def test_predictions_are_flat_latents_that_depend_on_noise_time_and_class(kind):
    module = perturbed(model(kind=kind))
    noisy, times, labels = random(4), torch.full((4,), 0.5), torch.tensor([0, 1, 2, 3])
    with torch.no_grad():
        plain = module(noisy, times, labels)
        assert plain.shape == noisy.shape
        for other in (
            module(noisy.flip(0), times, labels),
            module(noisy, times + 0.1, labels),
            module(noisy, times, labels.flip(0)),
        ):
            assert (plain - other).abs().amax(dim=1).min() > 1e-4


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("kind", names("targets"))
def test_a_denoiser_that_predicts_the_target_exactly_returns_the_clean_latents(kind, path, monkeypatch):
    module = model(target=kind, path=path)
    clean, noise, times = random(5), random(5, seed=1), torch.linspace(0.1, 0.5, 5)
    exact = target_from(kind, module.path).training_target(clean, noise, times)
    monkeypatch.setattr(module, "forward", lambda noisy, t, labels: exact)
    noisy = module.path.interpolate(clean, noise, times)
    torch.testing.assert_close(module.denoiser()(noisy, times), clean, atol=1e-4, rtol=1e-4)


def test_one_time_serves_a_whole_batch():
    module = perturbed(model())
    with torch.no_grad():
        one = module.denoiser()(random(3), torch.tensor([0.4]))
        each = module.denoiser()(random(3), torch.full((3,), 0.4))
    torch.testing.assert_close(one, each)


def test_without_labels_the_row_of_no_condition_is_used():
    module = perturbed(model(classes=3))
    times = torch.full((2,), 0.5)
    with torch.no_grad():
        silent = module.denoiser()(random(2), times)
        stated = module.denoiser(torch.tensor([3, 3]))(random(2), times)
        other = module.denoiser(torch.tensor([0, 0]))(random(2), times)
    assert torch.equal(silent, stated)
    assert not torch.allclose(silent, other)


@pytest.mark.parametrize("kind", names("targets"))
def test_the_loss_of_an_untrained_model_is_the_mean_square_of_the_target(kind):
    """The network starts at zero, so nothing but the target is in the loss."""
    latents, labels = random(6), torch.zeros(6, dtype=torch.long)
    objective = DenoisingObjective(model(target=kind), latents, labels)
    stated = objective(context()).total
    generator = generator_for(0, "test", 0)
    torch.rand(4, generator=generator)
    times = objective.trained.path.draw_times(4, generator)
    noise = torch.randn(4, SHAPE.length, generator=generator)
    wanted = target_from(kind, objective.trained.path).training_target(latents[:4], noise, times)
    torch.testing.assert_close(stated, wanted.square().mean())


@pytest.mark.parametrize(("drop", "seen"), [(0.0, {0, 1, 2}), (1.0, {3})])
def test_conditions_are_dropped_with_the_configured_probability(drop, seen, monkeypatch):
    latents, labels = random(6), torch.tensor([0, 1, 2, 0, 1, 2])
    objective = DenoisingObjective(model(drop_condition=drop), latents, labels)
    assert labels_given(objective, monkeypatch, range(5)) == seen


def test_dropping_and_keeping_mix(monkeypatch):
    objective = DenoisingObjective(model(drop_condition=0.5), random(6), torch.zeros(6, dtype=torch.long))
    assert labels_given(objective, monkeypatch, range(5)) == {0, 3}


def test_an_unconditional_model_trains_on_labelled_signals(monkeypatch):
    objective = DenoisingObjective(model(classes=0), random(6), torch.tensor([0, 1, 2, 0, 1, 2]))
    assert torch.isfinite(objective(context()).total)
    assert labels_given(objective, monkeypatch, range(5)) == {0}


def labels_given(objective, monkeypatch, steps) -> set[int]:
    seen: set[int] = set()
    forward = objective.trained.forward

    def watched(noisy, times, labels):
        seen.update(labels.tolist())
        return forward(noisy, times, labels)

    monkeypatch.setattr(objective.trained, "forward", watched)
    for step in steps:
        objective(context(step))
    return seen


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("kind", names("targets"))
def test_training_lowers_the_loss(kind, path):
    config = evolve(configured(target=kind, path=path), drop_condition=0.0)
    torch.manual_seed(0)
    module = LatentDiffusion(LAYOUT, SHAPE, 2, config)
    # Two latents with a class each: the condition tells nearly everything.
    objective = DenoisingObjective(module, random(2).sign(), torch.tensor([0, 1]))
    optimiser = torch.optim.Adam(module.parameters(), lr=1e-2)
    losses = []
    for step in range(50):
        loss = objective(context(step, (0, 1) * 8)).total
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert sum(losses[-10:]) < 0.7 * sum(losses[:10])


def logits(module: LatentDiffusion, value: float) -> None:
    with torch.no_grad():
        module.mixed.logit.fill_(value)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("kind", names("targets"))
def test_mixing_goes_from_the_network_to_the_optimal_prediction_for_normal_latents(kind, path):
    plain, mixed = (perturbed(model(target=kind, path=path, mixed=mixed)) for mixed in (False, True))
    missing = mixed.load_state_dict(plain.state_dict(), strict=False)
    assert missing.missing_keys == ["mixed.logit"]
    given = random(4), torch.linspace(0, 1, 4), torch.tensor([0, 1, 2, 3])
    analytic = mixed.target.of_normal_data(*given[:2])
    with torch.no_grad():
        network = plain(*given)
        for logit, expected in ((40.0, network), (-40.0, analytic), (0.0, (network + analytic) / 2)):
            logits(mixed, logit)
            torch.testing.assert_close(mixed(*given), expected, atol=1e-5, rtol=1e-5)


def test_each_plane_and_channel_has_its_own_share():
    module = perturbed(model(mixed=True))
    given = random(2), torch.full((2,), 0.5), torch.tensor([0, 1])
    logits(module, -40.0)
    with torch.no_grad():
        before = SHAPE.unpack(module(*given))
        module.mixed.logit[1, 0] = 40.0
        after = SHAPE.unpack(module(*given))
    for plane, (a, b) in enumerate(zip(before, after, strict=True)):
        changed = [not torch.equal(a[:, channel], b[:, channel]) for channel in range(SHAPE.channels)]
        assert changed == [plane == 1 and channel == 0 for channel in range(SHAPE.channels)]


def test_mixing_starts_as_in_the_authors_code_and_is_learned():
    module = model(mixed=True)
    assert module.mixed.logit.shape == (len(SHAPE.grids), SHAPE.channels)
    assert module.mixed.logit.eq(-6).all()
    DenoisingObjective(module, random(6), torch.zeros(6, dtype=torch.long))(context()).total.backward()
    assert module.mixed.logit.grad.ne(0).all()


def test_a_model_without_mixing_is_as_before():
    plain, mixed = model(), model(mixed=True)
    assert plain.mixed is None
    assert set(mixed.state_dict()) - set(plain.state_dict()) == {"mixed.logit"}
    assert all(torch.equal(value, mixed.state_dict()[name]) for name, value in plain.state_dict().items())


def test_an_untrained_mixed_model_draws_standard_normal_latents():
    """For standard normal latents the analytic prediction is exact: sampling gives them at any number of steps."""
    module = model(mixed=True, target="noise", path="variance_preserving")
    x = torch.randn(500, SHAPE.length, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        drawn = sampler_named("ddim")(module.denoiser(), module.path, x, module.path.times(40))
    torch.testing.assert_close(drawn.std(dim=0), torch.ones(SHAPE.length), atol=0.12, rtol=0)


@pytest.mark.parametrize(("width", "condition"), [(8, 64), (32, 64), (40, 80), (64, 128)])
def test_the_condition_has_twice_the_channels_of_the_network_and_at_least_64(width, condition):
    config = evolve(configured(), denoiser=DenoiserConfig(kind="transformer", width=width, blocks=1, heads=2))
    assert LatentDiffusion(LAYOUT, SHAPE, 3, config).time.width == condition


def test_models_with_classes_vectors_or_tokens_are_conditioned():
    config = configured()
    assert not LatentDiffusion(LAYOUT, SHAPE, 0, config).conditioned
    assert LatentDiffusion(LAYOUT, SHAPE, 1, config).conditioned
    assert LatentDiffusion(LAYOUT, SHAPE, 0, config, vectors=3).conditioned
    assert LatentDiffusion(LAYOUT, SHAPE, 0, config, tokens=3).conditioned
