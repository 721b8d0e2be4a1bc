"""Samplers: Gaussian closed forms, orders of convergence, diffusers' schedulers, ends and callbacks."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import diffusers
import pytest
import torch
from attrs import frozen
from torch import Tensor

from ddmi_core.diffusion.paths import Path, RectifiedFlow, VariancePreserving
from ddmi_core.diffusion.samplers import Denoise, Progress, evaluations, noise_like, sampler_named
from ddmi_core.errors import RequestError
from ddmi_core.registry.extensions import names

PATHS: dict[str, Path] = {"vp": VariancePreserving(), "rf": RectifiedFlow(), "rf-shifted": RectifiedFlow(3.0)}
every_path = pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
# Of denoisers for single times; `mean_flow` is tested in test_average_velocity.py.
SAMPLERS = {name: sampler_named(name) for name in names("samplers") if name != "mean_flow"}
every_sampler = pytest.mark.parametrize("name", SAMPLERS)
every_solver = pytest.mark.parametrize("name", [name for name in SAMPLERS if name != "ancestral"])

CHAIN = {"num_train_timesteps": 1000, "beta_start": 0.0015, "beta_end": 0.0195, "beta_schedule": "scaled_linear"}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@frozen
class VarianceExploding(Path):
    """EDM's path, `x0 + sigma noise`: the one that k-diffusion's samplers were written for."""

    largest: float = 20.0

    def alpha(self, t: Tensor) -> Tensor:
        return torch.ones_like(t)

    def sigma(self, t: Tensor) -> Tensor:
        return self.largest * t

    def alpha_rate(self, t: Tensor) -> Tensor:
        return torch.zeros_like(t)

    def sigma_rate(self, t: Tensor) -> Tensor:
        return torch.full_like(t, self.largest)

    def phase(self, t: Tensor) -> Tensor:
        return self.largest * t

    def time_of(self, half_log_snr: Tensor) -> Tensor:
        return torch.exp(-half_log_snr) / self.largest

    def times(self, steps: int) -> Tensor:
        return torch.linspace(1, 0, steps + 1, dtype=torch.float64) ** 3

    def draw_times(self, n: int, generator: torch.Generator | None) -> Tensor:
        return torch.rand(n, generator=generator)


class Gaussian:
    """Data of independent normal coordinates, for which everything is known in closed form."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.mean = torch.tensor([0.6, -1.0, 0.0], dtype=torch.float64)
        self.deviation = torch.tensor([0.3, 1.4, 0.8], dtype=torch.float64)

    def spread(self, t: Tensor) -> Tensor:
        """Standard deviation of x at t."""
        alpha, sigma = self.path.alpha(t)[..., None], self.path.sigma(t)[..., None]
        return torch.sqrt((alpha * self.deviation) ** 2 + sigma**2)

    def denoise(self, x: Tensor, t: Tensor) -> Tensor:
        """`E[x0 | x]` at t."""
        t = t.double()
        alpha = self.path.alpha(t)[:, None]
        gain = alpha * self.deviation**2 / self.spread(t) ** 2
        return (self.mean + gain * (x - alpha * self.mean)).to(x.dtype)

    def carried(self, x: Tensor, start: Tensor, end: Tensor) -> Tensor:
        """The exact solution of the probability-flow ODE: the standardised coordinate stays the same."""
        standard = (x - self.path.alpha(start) * self.mean) / self.spread(start)
        return self.path.alpha(end) * self.mean + self.spread(end) * standard


def mixture(path: Path) -> Denoise:
    """`E[x0 | x]` for two equal normal modes a coordinate, not affine in x."""

    def denoise(x: Tensor, t: Tensor) -> Tensor:
        alpha, sigma = path.alpha(t.double())[:, None], path.sigma(t.double())[:, None]
        variance = (0.3 * alpha) ** 2 + sigma**2
        side = torch.tanh(0.9 * alpha * x / variance)
        return (0.9 * side + 0.09 * alpha / variance * (x - 0.9 * alpha * side)).to(x.dtype)

    return denoise


ORDERS = {"ddim": 1, "euler": 1, "heun": 2, "dpmpp_2m": 2, "unipc": 3}


@every_path
@every_solver
def test_error_falls_with_the_order_of_the_method(name: str, path: Path) -> None:
    gaussian, x = Gaussian(path), torch.randn(64, 3, generator=seeded(), dtype=torch.float64)
    ends = torch.tensor([0.7, 0.25], dtype=torch.float64)
    exact = gaussian.carried(x, ends[0], ends[1])
    errors = []
    for steps in (30, 60, 120):
        times = torch.linspace(0.7, 0.25, steps + 1, dtype=torch.float64)
        errors.append(float((SAMPLERS[name](gaussian.denoise, path, x, times) - exact).square().mean().sqrt()))
    orders = [math.log2(a / b) for a, b in pairwise(errors)]
    assert min(orders) > ORDERS[name] - 0.15, orders
    assert errors[-1] < (0.02 if ORDERS[name] == 1 else 1e-3)


@every_path
@every_sampler
def test_gaussian_data_are_reached_in_distribution(name: str, path: Path) -> None:
    steps = 600 if name == "ancestral" else 150
    gaussian, x = Gaussian(path), torch.randn(20_000, 3, generator=seeded())
    drawn = SAMPLERS[name](gaussian.denoise, path, x, path.times(steps), generator=seeded(1)).double()
    torch.testing.assert_close(drawn.mean(dim=0), gaussian.mean, rtol=0, atol=0.03)
    torch.testing.assert_close(drawn.std(dim=0), gaussian.deviation, rtol=0.03, atol=0)
    assert drawn.T.corrcoef().fill_diagonal_(0).abs().max() < 0.03


@every_path
@every_solver
def test_sample_is_the_exact_solution_from_its_noise(name: str, path: Path) -> None:
    gaussian, x = Gaussian(path), torch.randn(64, 3, generator=seeded(), dtype=torch.float64)
    ends = torch.tensor([1.0, 0.0], dtype=torch.float64)
    drawn = SAMPLERS[name](gaussian.denoise, path, x, path.times(400))
    torch.testing.assert_close(drawn, gaussian.carried(x, ends[0], ends[1]), rtol=0, atol=0.03)


@pytest.mark.parametrize("name", ["dpmpp_2m", "unipc"])
@pytest.mark.parametrize("path", [PATHS["vp"], PATHS["rf"]], ids=["vp", "rf"])
def test_sixteen_steps_are_enough_for_a_fast_sampler(name: str, path: Path) -> None:
    x = torch.randn(512, 3, generator=seeded(), dtype=torch.float64)
    fine = SAMPLERS["heun"](mixture(path), path, x, path.times(400))
    error = SAMPLERS[name](mixture(path), path, x, path.times(16)) - fine
    assert error.square().mean().sqrt() < 0.05
    slow = SAMPLERS["ddim"](mixture(path), path, x, path.times(16)) - fine
    assert error.square().mean() < slow.square().mean()


def drive(scheduler: Any, denoise: Denoise, path: Path, x: Tensor, times: Tensor, kind: str = "sample") -> Tensor:
    """Run a diffusers scheduler on our grid: it is given sigma / alpha (or sigma for flows) of our times."""
    flow = isinstance(path, RectifiedFlow)
    sigmas = (path.sigma(times) if flow else path.sigma(times) / path.alpha(times)).float()
    calls = list(times[:-1])
    if "Heun" in type(scheduler).__name__:
        sigmas = torch.cat([sigmas[:1], sigmas[1:-1].repeat_interleave(2), sigmas[-1:]])
        calls = [times[0], *times[1:-1].repeat_interleave(2)]
    scheduler.set_timesteps(len(times) - 1)
    scheduler.sigmas, scheduler.timesteps = sigmas, torch.arange(len(calls)).float()
    scheduler.set_begin_index(0)
    for label, time in zip(scheduler.timesteps, calls, strict=True):
        t = time.expand(len(x))
        output = denoise(x, t)
        if scheduler.config.get("prediction_type") != "sample":  # the slope of x in sigma
            output = (x - output) / path.sigma(t)[:, None].float()
        x = scheduler.step(output, label, x, return_dict=False)[0]
    return x


def flow_grid() -> Tensor:
    """Our grid, short of the t = 1 at which diffusers' logarithm of alpha fails."""
    return torch.linspace(0.98, 0, 13, dtype=torch.float64)


def oracles() -> Iterator[tuple[str, Path, Tensor, str, dict[str, Any]]]:
    """Our sampler's name, a path and a grid, the scheduler that should agree and its options."""
    chain, flow, explode = PATHS["vp"], PATHS["rf"], VarianceExploding()
    for name, scheduler in ("dpmpp_2m", "DPMSolverMultistepScheduler"), ("unipc", "UniPCMultistepScheduler"):
        options = {"prediction_type": "sample", "solver_order": 2, "final_sigmas_type": "zero"}
        yield name, chain, chain.times(12), scheduler, CHAIN | options
        yield name, flow, flow_grid(), scheduler, options | {"use_flow_sigmas": True}
    for name in ("euler", "ddim"):
        yield name, flow, flow.times(12), "FlowMatchEulerDiscreteScheduler", {}
        yield name, explode, explode.times(12), "EulerDiscreteScheduler", {"prediction_type": "sample"}
    yield "heun", flow, flow.times(12), "FlowMatchHeunDiscreteScheduler", {}
    yield "heun", explode, explode.times(12), "HeunDiscreteScheduler", {"prediction_type": "epsilon"}


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize(
    ("name", "path", "times", "scheduler", "options"),
    [pytest.param(*o, id=f"{o[0]}-{type(o[1]).__name__}-{o[3]}") for o in oracles()],
)
def test_sampler_agrees_with_diffusers(
    name: str, path: Path, times: Tensor, scheduler: str, options: dict[str, Any]
) -> None:
    spread = torch.sqrt(path.alpha(times[0]) ** 2 + path.sigma(times[0]) ** 2).float()
    x = spread * torch.randn(32, 3, generator=seeded())
    for denoise in (mixture(path), Gaussian(path).denoise):
        expected = drive(getattr(diffusers, scheduler)(**options), denoise, path, x, times)
        torch.testing.assert_close(SAMPLERS[name](denoise, path, x, times), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["ddim", "ancestral"])
def test_discrete_chain_agrees_with_diffusers(name: str) -> None:
    path, options = (
        PATHS["vp"],
        {"prediction_type": "sample", "clip_sample": False, "timestep_spacing": "trailing"},
    )
    kind = diffusers.DDIMScheduler if name == "ddim" else diffusers.DDPMScheduler
    scheduler = kind(**CHAIN, **options)
    scheduler.set_timesteps(20)
    x = start = torch.randn(32, 3, generator=seeded())
    generator = seeded(1)
    for step in scheduler.timesteps:
        estimate = mixture(path)(x, ((step + 1) / 1000).expand(32))
        x = scheduler.step(estimate, int(step), x, generator=generator, return_dict=False)[0]
    times = torch.linspace(1, 0, 21, dtype=torch.float64)
    drawn = SAMPLERS[name](mixture(path), path, start, times, generator=seeded(1))
    torch.testing.assert_close(drawn, x, rtol=1e-4, atol=5e-5)


@every_path
@every_sampler
@pytest.mark.parametrize("steps", [1, 2, 3, 8])
def test_samples_are_finite_from_pure_noise_to_data(name: str, path: Path, steps: int) -> None:
    x = torch.randn(4, 3, generator=seeded())
    drawn = SAMPLERS[name](mixture(path), path, x, path.times(steps), generator=seeded(1))
    assert drawn.dtype == x.dtype
    assert drawn.isfinite().all()
    assert drawn.abs().max() < 5


@every_path
@every_sampler
def test_a_certain_denoiser_is_obeyed(name: str, path: Path) -> None:
    answer = torch.randn(4, 3, generator=seeded(), dtype=torch.float64)
    x = torch.randn(4, 3, generator=seeded(1), dtype=torch.float64)
    drawn = SAMPLERS[name](lambda x, t: answer, path, x, path.times(24), generator=seeded(2))
    torch.testing.assert_close(drawn, answer, rtol=0, atol=0.01 if name in ("euler", "heun") else 1e-9)


@every_path
@every_sampler
def test_sampling_is_determined_by_noise_and_generator(name: str, path: Path) -> None:
    x = torch.randn(4, 3, generator=seeded())
    first, again, other = (
        SAMPLERS[name](mixture(path), path, x, path.times(6), generator=seeded(seed)) for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert torch.equal(first, other) == (name != "ancestral")


def test_ancestral_sampling_needs_a_generator() -> None:
    path, x = PATHS["rf"], torch.zeros(1, 1)
    with pytest.raises(ValueError, match="generator"):
        SAMPLERS["ancestral"](mixture(path), path, x, path.times(2))


@every_path
@every_sampler
def test_callback_is_told_every_step(name: str, path: Path) -> None:
    told: list[Progress] = []
    times = path.times(5)
    x = torch.randn(4, 3, generator=seeded())
    SAMPLERS[name](mixture(path), path, x, times, generator=seeded(), callback=told.append)
    assert [(p.step, p.steps) for p in told] == [(i, 5) for i in range(1, 6)]
    assert [p.time for p in told] == times[:-1].tolist()
    assert all(p.x0.shape == (4, 3) for p in told)


@every_sampler
def test_callback_cancels_by_raising(name: str) -> None:
    calls = []

    def stop(progress: Progress) -> None:
        calls.append(progress.step)
        if progress.step == 2:
            raise KeyboardInterrupt

    path = PATHS["rf"]
    with pytest.raises(KeyboardInterrupt):
        SAMPLERS[name](mixture(path), path, torch.zeros(1, 1), path.times(5), generator=seeded(), callback=stop)
    assert calls == [1, 2]


@every_sampler
def test_evaluations_are_counted(name: str) -> None:
    seen: list[Tensor] = []
    path = PATHS["rf"]
    denoise = mixture(path)

    def counted(x: Tensor, t: Tensor) -> Tensor:
        seen.append(t)
        return denoise(x, t)

    SAMPLERS[name](counted, path, torch.zeros(2, 1), path.times(7), generator=seeded())
    assert len(seen) == evaluations(name, 7)
    assert all(t.shape == (2,) and t.dtype == torch.float32 for t in seen)


@pytest.mark.parametrize("times", [[0.5], [0.2, 0.8], [1.0, 0.5, 0.5, 0.0]])
def test_times_must_decrease(times: list[float]) -> None:
    path = PATHS["rf"]
    with pytest.raises(ValueError, match="decreasing"):
        SAMPLERS["ddim"](mixture(path), path, torch.zeros(1, 1), torch.tensor(times))


def test_samplers_are_found_by_name() -> None:
    assert sampler_named("unipc") is SAMPLERS["unipc"]
    with pytest.raises(RequestError, match="did you mean 'dpmpp_2m'"):
        sampler_named("dpmpp2m")
    with pytest.raises(RequestError, match="unknown sampler"):
        evaluations("", 4)


def test_noise_of_one_generator_a_row_does_not_depend_on_the_other_rows() -> None:
    x = torch.zeros(3, 5, dtype=torch.float64)
    rows = noise_like(x, [seeded(n) for n in (4, 5, 6)])
    assert rows.dtype == x.dtype
    for row, seed in zip(rows, (4, 5, 6), strict=True):
        assert torch.equal(row, torch.randn(5, generator=seeded(seed), dtype=x.dtype))
    assert torch.equal(noise_like(x, seeded(7)), torch.randn(3, 5, generator=seeded(7), dtype=x.dtype))


def test_a_sampler_keeps_the_name_and_the_description_of_its_method() -> None:
    for name, sampler in SAMPLERS.items():
        assert sampler.__name__ == name
        assert sampler.__doc__


def test_a_plain_function_as_sampler_counts_one_evaluation_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ddmi_core.diffusion.samplers.sampler_named", lambda name: lambda *given: None)
    assert evaluations("heun", 7) == 7
