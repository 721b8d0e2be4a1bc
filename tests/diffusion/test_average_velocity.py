"""Average velocities: exact for Gaussian data, learned by both networks, and refused by models without them."""

from __future__ import annotations

import pytest
import torch
from attrs import evolve
from torch import Tensor, nn

from ddmi_core.blocks import blocks
from ddmi_core.diffusion.average_velocity import SHORTEST, draw_intervals, of_halves
from ddmi_core.diffusion.config import DenoiserConfig, DiffusionConfig, PathConfig
from ddmi_core.diffusion.guidance import classifier_free
from ddmi_core.diffusion.latent_diffusion import DenoisingObjective, LatentDiffusion
from ddmi_core.diffusion.latents import LatentShape
from ddmi_core.diffusion.paths import Path, RectifiedFlow, VariancePreserving
from ddmi_core.diffusion.samplers import sampler_named
from ddmi_core.draws import BatchGenerator
from ddmi_core.errors import ConfigError, RequestError
from ddmi_core.settings.config import RunConfig, SamplingConfig
from ddmi_core.training.objective import StepContext
from ddmi_core.training.precision import autocast
from plane_layouts import LAYOUTS, cells_of, planes

LAYOUT = next(iter(LAYOUTS.values()))
SHAPE = LatentShape.of(planes(LAYOUT, 2, cells_of(LAYOUT, 4, 4)))
SPREAD = 0.5  # standard deviation of the data
CPU = torch.device("cpu")

every_path = pytest.mark.parametrize("path", [RectifiedFlow(), RectifiedFlow(shift=2.0), VariancePreserving()], ids=str)
every_network = pytest.mark.parametrize("kind", ["unet", "transformer"])


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def scale_at(path: Path, t: Tensor) -> Tensor:
    """Standard deviation of the states: the flow of Gaussian data multiplies a state by the ratio of two of them."""
    return torch.sqrt((path.alpha(t) * SPREAD) ** 2 + path.sigma(t) ** 2)


def exact(path: Path, x: Tensor, intervals: Tensor) -> Tensor:
    """Average velocity of Gaussian data, and for intervals of length 0 the velocity at their time."""
    start, end = intervals.unbind(dim=1)
    alpha_slope, sigma_slope = path.phase_rates(start)
    s = scale_at(path, start)
    at_once = (path.alpha(start) * alpha_slope * SPREAD**2 + path.sigma(start) * sigma_slope) / s**2
    average = (1 - scale_at(path, end) / s) / (path.phase(start) - path.phase(end))
    return torch.where(start > end, average, at_once)[:, None] * x


class Exact(LatentDiffusion):
    """A model whose prediction is exact for Gaussian data, times a learned factor that is 1."""

    def __init__(self, config: DiffusionConfig) -> None:
        super().__init__(LAYOUT, SHAPE, 0, config)
        self.factor = nn.Parameter(torch.ones(()))

    def forward(self, noisy: Tensor, times: Tensor, conditions: Tensor) -> Tensor:
        intervals = times if times.ndim == 2 else torch.stack([times, times], dim=1)
        return self.factor * exact(self.path, noisy, intervals)


def network(kind: str, **changes) -> LatentDiffusion:
    torch.manual_seed(0)
    denoiser = DenoiserConfig(kind=kind, width=16, multipliers=(1, 2), blocks=1, heads=2)
    return LatentDiffusion(LAYOUT, SHAPE, 2, DiffusionConfig(denoiser=denoiser, **{"few_steps": 0.5, **changes}))


@torch.no_grad()
def disturb(model: LatentDiffusion) -> None:
    """Give an untrained network, which returns 0, other weights."""
    for number, parameter in enumerate(model.parameters()):
        parameter.add_(0.05 * torch.randn(parameter.shape, generator=seeded(number)))


def context(size: int = 8, first: int = 0, step: int = 0) -> StepContext:
    return StepContext(step, tuple(range(size)), BatchGenerator(first, 0, "test", step), CPU)


@every_path
def test_the_exact_average_velocity_is_a_fixed_point(path):
    intervals = draw_intervals(256, seeded()).double()
    intervals = intervals[intervals[:, 0] - intervals[:, 1] > 2 * SHORTEST]
    x = torch.randn(len(intervals), 3, generator=seeded(1), dtype=torch.float64)
    found = of_halves(lambda x, spans: exact(path, x, spans), path, x, intervals)
    torch.testing.assert_close(found, exact(path, x, intervals))


@every_path
def test_short_intervals_take_two_steps_of_euler(path):
    intervals = torch.tensor([[0.9, 0.9 - SHORTEST], [0.5, 0.5 - SHORTEST]], dtype=torch.float64)
    x = torch.ones(2, 1, dtype=torch.float64)
    seen: list[Tensor] = []

    def velocity(x: Tensor, spans: Tensor) -> Tensor:
        seen.append(spans)
        return exact(path, x, spans)

    found = of_halves(velocity, path, x, intervals)
    assert all(bool((spans[:, 0] == spans[:, 1]).all()) for spans in seen)
    torch.testing.assert_close(found, exact(path, x, intervals), atol=0.03, rtol=0.03)


@every_path
@pytest.mark.parametrize("steps", [1, 2, 3])
def test_any_number_of_steps_with_the_exact_average_velocity_is_exact(path, steps):
    x = torch.randn(16, 2, generator=seeded(), dtype=torch.float64)
    target = Exact(DiffusionConfig(few_steps=0.5)).target
    target = evolve(target, path=path)

    def denoise(x: Tensor, t: Tensor) -> Tensor:
        return target.to_data(x, exact(path, x, t), t[:, 0])

    ends = torch.tensor([1.0, 0.0], dtype=torch.float64)
    expected = x * scale_at(path, ends)[1] / scale_at(path, ends)[0]
    torch.testing.assert_close(sampler_named("mean_flow")(denoise, path, x, path.times(steps)), expected)


@pytest.mark.parametrize("kind", ["rectified_flow", "variance_preserving"])
def test_rows_with_intervals_have_no_loss_at_the_exact_solution(kind):
    """What remains is the loss of the other rows, whose target is the velocity given one data point and noise."""
    model = Exact(DiffusionConfig(few_steps=0.5, path=PathConfig(kind=kind)))
    latents = SPREAD * torch.randn(64, SHAPE.length, generator=seeded())
    objective = DenoisingObjective(model, latents, torch.zeros(64, dtype=torch.long))
    given, conditions, times, rows = objective.read(0, range(64), BatchGenerator(0, 0, "read"))
    lengths = times[:, 0] - times[:, 1]
    assert (lengths > 0).nonzero()[:, 0].equal(rows)
    assert 20 < len(rows) < 44
    long = (lengths > 2 * SHORTEST).nonzero()[:, 0]
    part = (given[long], conditions[long], times[long], torch.arange(len(long)))
    indices = tuple(range(len(long)))
    loss = objective(StepContext(0, indices, BatchGenerator(0, 0, "draw"), CPU, part)).total
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-9)
    assert model.factor.grad.item() == pytest.approx(0, abs=1e-5)


def test_intervals_cover_the_whole_time_and_shorter_ones():
    start, end = draw_intervals(4000, seeded()).unbind(dim=1)
    assert bool((start > end).all())
    assert end.min() >= 0
    assert start.max() <= 1
    whole = ((start == 1) & (end == 0)).double().mean()
    assert whole == pytest.approx(1 / 6, abs=0.02)
    assert (start - end).min() == pytest.approx(1 / 32, rel=0.01)


@every_network
def test_the_prediction_depends_on_the_length_of_the_interval(kind):
    model = network(kind)
    disturb(model)
    x, labels = torch.randn(2, SHAPE.length, generator=seeded()), torch.zeros(2, dtype=torch.long)
    at_once = model(x, torch.full((2,), 0.8), labels)
    torch.testing.assert_close(model(x, torch.tensor([[0.8, 0.8]] * 2), labels), at_once)
    assert not torch.allclose(model(x, torch.tensor([[0.8, 0.2]] * 2), labels), at_once)


@every_network
def test_a_training_step_teaches_the_length_of_intervals(kind):
    model = network(kind)
    objective = DenoisingObjective(model, torch.randn(16, SHAPE.length, generator=seeded()), torch.arange(16) % 2)
    assert model.duration.network[-1].weight.eq(0).all()  # intervals do not matter before training
    disturb(model)
    objective(context(16)).total.backward()
    assert all(bool(p.grad.abs().max() > 0) for p in model.duration.parameters())


def test_guidance_acts_on_the_start_of_a_step():
    def constant(value: float):
        return lambda x, t: torch.full_like(x, value)

    guided = classifier_free(constant(1.0), constant(0.0), 3.0, (0.4, 0.8))
    spans = torch.tensor([[0.9, 0.5], [0.6, 0.0]])
    assert guided(torch.zeros(2, 1), spans)[:, 0].tolist() == [1.0, 3.0]


@every_network
def test_few_latents_are_guided_as_many_are(kind):
    model = network(kind)
    disturb(model)
    with torch.no_grad():
        noise, labels = torch.randn(9, SHAPE.length, generator=seeded()), torch.arange(9) % 2
        times = model.path.times(2)
        every = sampler_named("mean_flow")(model.guided(labels, 2.0), model.path, noise, times)
        few = sampler_named("mean_flow")(model.guided(labels[:3], 2.0), model.path, noise[:3], times)
    torch.testing.assert_close(few, every[:3], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("rows", [0, 1, 8])
def test_the_network_is_called_equally_often_for_any_number_of_rows(rows):
    """Processes that divide the weights would otherwise wait for each other."""
    model = network("unet")
    objective = DenoisingObjective(model, torch.zeros(8, SHAPE.length), torch.zeros(8, dtype=torch.long))
    times = torch.full((8, 2), 0.9)
    times[:rows, 1] = 0.1
    calls: list[int] = []
    model.network.register_forward_hook(lambda module, given, output: calls.append(1))
    batch = (torch.zeros(8, SHAPE.length), torch.zeros(8, dtype=torch.long), times, torch.arange(rows))
    loss = objective(StepContext(0, tuple(range(8)), BatchGenerator(0, 0), CPU, batch)).total
    loss.backward()
    assert len(calls) == 3
    assert loss.isfinite()
    assert all(p.grad is None or bool(p.grad.isfinite().all()) for p in model.parameters())


def test_which_rows_have_intervals_does_not_depend_on_parts():
    model = network("unet", few_steps=0.25)
    objective = DenoisingObjective(model, torch.zeros(16, SHAPE.length), torch.zeros(16, dtype=torch.long))
    whole = objective.read(0, range(16), BatchGenerator(0, 0, "read"))[2]
    parts = [objective.read(0, range(at, at + 4), BatchGenerator(at, 0, "read"))[2] for at in range(0, 16, 4)]
    torch.testing.assert_close(torch.cat(parts), whole)


@pytest.mark.parametrize("size", [1, 4])
def test_parts_of_a_batch_have_the_loss_of_the_whole(size):
    """Accumulation and processes change rounding alone."""
    model = network("transformer")
    disturb(model)
    latents = torch.randn(8, SHAPE.length, generator=seeded())
    objective = DenoisingObjective(model, latents, torch.arange(8) % 2)

    def loss(first: int, count: int) -> Tensor:
        indices = tuple(range(first, first + count))
        return objective(StepContext(0, indices, BatchGenerator(first, 0, "test", 0), CPU)).total

    with torch.no_grad():
        parts = torch.stack([loss(first, size) for first in range(0, 8, size)])
        torch.testing.assert_close(parts.mean(), loss(0, 8), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_recomputed_blocks_have_the_same_loss_and_gradient(precision):
    found = []
    for recomputes in (False, True):
        model = network("transformer")
        disturb(model)
        for block in blocks(model):
            block.recomputes = recomputes
        objective = DenoisingObjective(model, torch.ones(8, SHAPE.length), torch.arange(8) % 2)
        with autocast(precision, CPU):
            loss = objective(context(8)).total
        loss.backward()
        found.append((loss.detach(), model.duration.network[0].weight.grad))
    assert found[0][0].isfinite()
    torch.testing.assert_close(found[0], found[1])


def test_a_model_without_average_velocities_says_so():
    with pytest.raises(RequestError, match=r"few_steps was 0\. Fix: .*few_steps=0\.5"):
        network("unet", few_steps=0.0).denoiser()(torch.zeros(1, SHAPE.length), torch.tensor([[1.0, 0.0]]))
    with pytest.raises(ConfigError, match=r"few_steps is 0.*Fix: "):
        RunConfig(plugin="image", sampling=SamplingConfig(sampler="mean_flow"))
    with pytest.raises(ValueError, match="target is 'noise'"):
        DiffusionConfig(few_steps=0.5, target="noise")


def test_without_few_steps_weights_and_draws_are_as_before():
    model = network("unet", few_steps=0.0)
    assert not any(name.startswith("duration") for name in model.state_dict())
    objective = DenoisingObjective(model, torch.zeros(4, SHAPE.length), torch.zeros(4, dtype=torch.long))
    *_, times, rows = objective.read(0, range(4), BatchGenerator(0, 0, "read"))
    assert times.shape == (4,)
    assert not len(rows)
