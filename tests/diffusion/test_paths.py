"""Paths: the authors' table, derivatives, inverses, sampling grids and training times."""

from __future__ import annotations

import math

import pytest
import torch
from diffusers import DDPMScheduler
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from ddmi_core.diffusion.config import PathConfig
from ddmi_core.diffusion.paths import Path, RectifiedFlow, VariancePreserving, path_from
from ddmi_core.errors import RequestError

PATHS = [VariancePreserving(), VariancePreserving(schedule="linear"), RectifiedFlow(), RectifiedFlow(shift=3.0)]
every_path = pytest.mark.parametrize("path", PATHS, ids=["vp", "vp-linear", "rf", "rf-shifted"])


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def inside(n: int = 97) -> Tensor:
    """Times strictly inside the path and off the discrete steps, where the path has no kinks."""
    return torch.linspace(0.00317, 0.99613, n, dtype=torch.float64)


@pytest.mark.parametrize("schedule", ["scaled_linear", "linear"])
def test_variance_preserving_equals_the_table_of_diffusers(schedule: str) -> None:
    oracle = DDPMScheduler(1000, beta_start=0.0015, beta_end=0.0195, beta_schedule=schedule)
    t = torch.arange(1, 1001, dtype=torch.float64) / 1000
    path = VariancePreserving(schedule=schedule)
    torch.testing.assert_close(path.alpha(t).square(), oracle.alphas_cumprod.double(), rtol=2e-5, atol=0)
    torch.testing.assert_close(path.sigma(t).square(), 1 - oracle.alphas_cumprod.double(), rtol=2e-5, atol=1e-6)


def test_the_default_chain_is_the_authors() -> None:
    """The products of 1 - beta of `linspace(sqrt(0.0015), sqrt(0.0195), 1000) ** 2`, multiplied out one by one."""
    first, last = math.sqrt(0.0015), math.sqrt(0.0195)
    roots = [first + (last - first) * step / 999 for step in range(1000)]
    path = path_from(PathConfig(kind="variance_preserving"))
    stated = {250: (0.51, 0.5105143007739), 500: (0.116, 0.1158444908103)}
    stated |= {750: (8.4e-3, 0.0084448304901), 1000: (1.4e-4, 0.000142303975192)}
    for step, (rounded, exact) in stated.items():
        alpha_bar = path.alpha(torch.tensor(step / 1000, dtype=torch.float64)).square().item()
        assert alpha_bar == pytest.approx(math.prod(1 - root**2 for root in roots[:step]), rel=1e-11)
        assert alpha_bar == pytest.approx(exact, rel=1e-11)
        assert alpha_bar == pytest.approx(rounded, rel=0.02)


def test_single_precision_is_close_to_double() -> None:
    path, t = VariancePreserving(), torch.linspace(0, 1, 1234, dtype=torch.float64)
    torch.testing.assert_close(path.alpha(t.float()), path.alpha(t).float(), rtol=1e-5, atol=0)
    torch.testing.assert_close(path.sigma(t.float()), path.sigma(t).float(), rtol=1e-5, atol=0)


@every_path
def test_path_runs_from_data_to_noise(path: Path) -> None:
    ends = torch.tensor([0.0, 1.0], dtype=torch.float64)
    assert path.alpha(ends)[0] == 1
    assert path.sigma(ends)[0] == 0
    assert path.alpha(ends)[1] < 0.012
    assert path.sigma(ends)[1] > 0.9999
    assert path.half_log_snr(ends)[0] == math.inf
    assert path.phase(ends)[0] == 0


@every_path
def test_rates_are_derivatives(path: Path) -> None:
    t = inside().requires_grad_()
    for value, rate in ((path.alpha, path.alpha_rate), (path.sigma, path.sigma_rate)):
        (gradient,) = torch.autograd.grad(value(t).sum(), t)
        torch.testing.assert_close(rate(t.detach()), gradient)


@every_path
def test_phase_has_unit_determinant(path: Path) -> None:
    t = inside()
    alpha_slope, sigma_slope = path.phase_rates(t)
    torch.testing.assert_close(path.alpha(t) * sigma_slope - path.sigma(t) * alpha_slope, torch.ones_like(t))
    step = 1e-7
    phase_rate = (path.phase(t + step) - path.phase(t - step)) / (2 * step)
    torch.testing.assert_close(alpha_slope * phase_rate, path.alpha_rate(t), rtol=1e-6, atol=1e-8)
    torch.testing.assert_close(sigma_slope * phase_rate, path.sigma_rate(t), rtol=1e-6, atol=1e-8)


@every_path
def test_phase_rates_are_finite_at_the_ends(path: Path) -> None:
    for rate in path.phase_rates(torch.tensor([0.0, 1.0])):
        assert rate.isfinite().all()


@every_path
@given(time=st.floats(1e-6, 1 - 1e-6))
def test_time_of_is_the_inverse_of_half_log_snr(path: Path, time: float) -> None:
    t = torch.tensor([time], dtype=torch.float64)
    torch.testing.assert_close(path.time_of(path.half_log_snr(t)), t, rtol=1e-9, atol=1e-12)


@every_path
def test_time_of_takes_infinite_values_to_the_ends(path: Path) -> None:
    assert path.time_of(torch.tensor([math.inf, -math.inf])).tolist() == [0, 1]


@every_path
def test_half_log_snr_is_the_logarithm_of_the_ratio(path: Path) -> None:
    t = inside()
    torch.testing.assert_close(path.half_log_snr(t), torch.log(path.alpha(t) / path.sigma(t)))


@every_path
@pytest.mark.parametrize("steps", [1, 2, 16, 250])
def test_sampling_times_fall_from_one_to_zero(path: Path, steps: int) -> None:
    times = path.times(steps)
    assert times.shape == (steps + 1,)
    assert times[0] == 1
    assert times[-1] == 0
    assert (times.diff() < 0).all()


@every_path
def test_sampling_needs_a_step(path: Path) -> None:
    with pytest.raises(RequestError, match="steps=0 is invalid: sampling needs at least 1 step"):
        path.times(0)


def test_variance_preserving_sampling_stays_where_it_was_trained() -> None:
    assert VariancePreserving().times(500)[-2] == pytest.approx(1e-3)


def test_variance_preserving_sampling_takes_equal_steps_in_the_phase_to_the_power_of_two_thirds() -> None:
    path = VariancePreserving()
    steps = path.phase(path.times(9)[:-1]).pow(1 / 1.5).diff()
    torch.testing.assert_close(steps, steps.mean().expand(8))


def test_shift_moves_times_towards_noise() -> None:
    assert RectifiedFlow(3.0).times(2)[1] == pytest.approx(0.75)
    plain, shifted = (RectifiedFlow(s).draw_times(1000, seeded()) for s in (1.0, 3.0))
    torch.testing.assert_close(shifted, 3 * plain / (1 + 2 * plain))


def test_training_times_have_the_stated_distributions() -> None:
    uniform = VariancePreserving(steps=10).draw_times(10_000, seeded())
    values, counts = uniform.unique(return_counts=True)
    torch.testing.assert_close(values, torch.arange(1, 11) / 10)
    assert counts.min() > 850
    normal = torch.logit(RectifiedFlow().draw_times(10_000, seeded()))
    assert abs(normal.mean()) < 0.04
    assert abs(normal.std() - 1) < 0.03


@every_path
def test_training_times_are_determined_by_the_generator(path: Path) -> None:
    assert torch.equal(path.draw_times(9, seeded()), path.draw_times(9, seeded()))


@every_path
def test_interpolation_gives_data_and_noise_at_the_ends(path: Path) -> None:
    x0, noise = torch.randn(2, 2, 5, generator=seeded())
    mixed = path.interpolate(x0, noise, torch.tensor([0.0, 1.0]))
    torch.testing.assert_close(mixed[0], x0[0])
    torch.testing.assert_close(mixed[1], noise[1], rtol=0, atol=0.03)


def test_configuration_selects_the_path() -> None:
    assert path_from(PathConfig()) == RectifiedFlow(1.0)
    assert path_from(PathConfig(kind="rectified_flow", shift=2.0)) == RectifiedFlow(2.0)
    assert path_from(PathConfig(kind="variance_preserving", steps=50)) == VariancePreserving(50, 0.0015, 0.0195)
    assert path_from(PathConfig(kind="variance_preserving", schedule="linear")) == VariancePreserving(schedule="linear")
    assert VariancePreserving(schedule="linear") != VariancePreserving()


METHODS = ("alpha", "sigma", "alpha_rate", "sigma_rate", "phase", "time_of", "times", "draw_times")


@pytest.mark.parametrize("missing", METHODS)
def test_a_path_without_one_of_its_functions_cannot_be_made(missing: str) -> None:
    given = {name: getattr(RectifiedFlow, name) for name in METHODS}
    type("Whole", (Path,), given)()
    del given[missing]
    with pytest.raises(TypeError, match=rf"abstract method '?{missing}'?"):
        type("Partial", (Path,), given)()


def test_the_table_of_a_chain_is_no_argument_and_not_shown() -> None:
    path = VariancePreserving(50, schedule="linear")
    assert repr(path) == "VariancePreserving(steps=50, beta_start=0.0015, beta_end=0.0195, schedule='linear')"
    assert path == VariancePreserving(50, schedule="linear")
    with pytest.raises(TypeError):
        VariancePreserving(50, 0.0015, 0.0195, "linear", path.log_alpha_bar)
    assert path.log_alpha_bar.dtype == torch.float64
    assert path.log_alpha_bar[0] == 0
