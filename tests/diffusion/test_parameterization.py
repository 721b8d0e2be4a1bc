"""Targets: their definitions, round trips, limits, and samples of networks trained on each."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from ddmi_core.diffusion.parameterization import NoiseTarget, Target, target_from
from ddmi_core.diffusion.paths import Path, RectifiedFlow, VariancePreserving
from ddmi_core.diffusion.samplers import dpmpp_2m
from ddmi_core.errors import RequestError
from ddmi_core.registry.extensions import names

PATHS = [VariancePreserving(), RectifiedFlow(), RectifiedFlow(shift=3.0)]
every_path = pytest.mark.parametrize("path", PATHS, ids=["vp", "rf", "rf-shifted"])
every_kind = pytest.mark.parametrize("kind", names("targets"))


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pair(n: int) -> tuple[Tensor, Tensor]:
    x0, noise = torch.randn(2, n, 5, generator=seeded(), dtype=torch.float64)
    return x0, noise


@every_path
@every_kind
def test_data_come_back_from_the_target(kind: str, path: Path) -> None:
    t = torch.linspace(0, 1, 50, dtype=torch.float64)
    if kind == "noise":
        t = t[path.alpha(t) >= NoiseTarget(path).smallest_alpha]
    x0, noise = pair(len(t))
    x, parameterization = path.interpolate(x0, noise, t), target_from(kind, path)
    torch.testing.assert_close(parameterization.to_data(x, parameterization.training_target(x0, noise, t), t), x0)


@every_path
def test_data_seen_through_noise_fade_where_alpha_is_small(path: Path) -> None:
    t = torch.linspace(0.95, 1, 20, dtype=torch.float64)
    x0, noise = pair(20)
    estimate = target_from("noise", path).to_data(path.interpolate(x0, noise, t), noise, t)
    limit = 1 / 32 if isinstance(path, VariancePreserving) else 1 / 16
    shown = (path.alpha(t) / limit).clamp(max=1)
    torch.testing.assert_close(estimate, shown[:, None] * x0)


def test_the_limit_near_noise_applies_to_a_tenth_of_the_authors_chain() -> None:
    path = VariancePreserving()
    t = torch.arange(1, 1001, dtype=torch.float64) / 1000
    assert int((path.alpha(t) < NoiseTarget(path).smallest_alpha).sum()) == 106


@every_path
@every_kind
def test_estimates_are_finite_at_both_ends(kind: str, path: Path) -> None:
    t = torch.tensor([0.0, 1.0])
    x0, noise = (v.float() for v in pair(2))
    parameterization = target_from(kind, path)
    output = parameterization.training_target(x0, noise, t)
    assert output.isfinite().all()
    assert parameterization.to_data(path.interpolate(x0, noise, t), output + 0.01, t).isfinite().all()


def test_velocity_of_each_path_is_the_customary_one() -> None:
    t = torch.linspace(0.0, 1.0, 20, dtype=torch.float64)
    x0, noise = pair(20)
    flow, chain = RectifiedFlow(), VariancePreserving()
    torch.testing.assert_close(target_from("velocity", flow).training_target(x0, noise, t), noise - x0)
    expected = chain.alpha(t)[:, None] * noise - chain.sigma(t)[:, None] * x0
    torch.testing.assert_close(target_from("velocity", chain).training_target(x0, noise, t), expected)


@every_path
def test_velocity_is_the_derivative_in_the_phase(path: Path) -> None:
    t, step = torch.linspace(0.0527, 0.9513, 20, dtype=torch.float64), 1e-7
    x0, noise = pair(20)
    rise = path.interpolate(x0, noise, t + step) - path.interpolate(x0, noise, t - step)
    run = path.phase(t + step) - path.phase(t - step)
    velocity = target_from("velocity", path).training_target(x0, noise, t)
    torch.testing.assert_close(velocity, rise / run[:, None], rtol=1e-5, atol=1e-6)


@every_path
@every_kind
def test_no_linear_prediction_is_better_for_normal_data(kind: str, path: Path) -> None:
    """At each time, the least-squares slope of the target over x, from many samples, is that of the formula."""
    for time in (0.02, 0.3, 0.6, 0.9, 1.0):
        t = torch.full((200_000,), time, dtype=torch.float64)
        x0, noise = torch.randn(2, len(t), 1, generator=seeded(), dtype=torch.float64)
        x, target = path.interpolate(x0, noise, t), target_from(kind, path)
        slope = (x * target.training_target(x0, noise, t)).mean() / x.square().mean()
        assert (target.of_normal_data(x[:1], t[:1]) / x[:1]).item() == pytest.approx(slope.item(), abs=0.012)


@pytest.mark.parametrize("path", PATHS[:1], ids=["vp"])
def test_predictions_for_normal_data_on_a_variance_preserving_path(path: Path) -> None:
    t = torch.linspace(0, 1, 20, dtype=torch.float64)
    x, _ = pair(20)
    predictions = {kind: target_from(kind, path).of_normal_data(x, t) for kind in ("noise", "data", "velocity")}
    torch.testing.assert_close(predictions["noise"], path.sigma(t)[:, None] * x)
    torch.testing.assert_close(predictions["data"], path.alpha(t)[:, None] * x)
    torch.testing.assert_close(predictions["velocity"], torch.zeros_like(x))


@every_path
@every_kind
def test_predictions_for_normal_data_estimate_the_same_data(kind: str, path: Path) -> None:
    t = torch.linspace(0, 0.6, 20, dtype=torch.float64)  # where the estimate from noise is not limited
    x, _ = pair(20)
    target = target_from(kind, path)
    expected = path.alpha(t)[:, None] * x / (path.alpha(t) ** 2 + path.sigma(t) ** 2)[:, None]
    torch.testing.assert_close(target.to_data(x, target.of_normal_data(x, t), t), expected)


def test_unknown_target_names_the_nearest() -> None:
    with pytest.raises(RequestError, match="did you mean 'velocity'"):
        target_from("velocty", RectifiedFlow())
    with pytest.raises(RequestError, match="unknown prediction target"):
        target_from("", RectifiedFlow())


@pytest.mark.parametrize("missing", ["training_target", "to_data"])
def test_a_target_without_one_of_its_functions_cannot_be_made(missing: str) -> None:
    given = {name: getattr(NoiseTarget, name) for name in ("training_target", "to_data") if name != missing}
    with pytest.raises(TypeError, match=rf"abstract method '?{missing}'?"):
        type("Partial", (Target,), given)(RectifiedFlow())


def test_the_limit_near_noise_follows_from_the_path() -> None:
    assert NoiseTarget(RectifiedFlow()) == NoiseTarget(RectifiedFlow())
    assert NoiseTarget(RectifiedFlow()) != NoiseTarget(VariancePreserving())
    with pytest.raises(TypeError):
        NoiseTarget(RectifiedFlow(), 0.5)


class Network(nn.Module):
    """A small MLP of the state and features of the time."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(8, 96), nn.Linear(96, 96), nn.Linear(96, 96), nn.Linear(96, 2)])
        for layer in self.layers:
            bound = (3 / layer.in_features) ** 0.5
            nn.init.uniform_(layer.weight, -bound, bound, generator=seeded(seed))
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        angles = t[:, None] * torch.pi * torch.tensor([0.5, 1.0, 2.0])
        hidden = torch.cat([x, angles.sin(), angles.cos()], dim=1)
        for layer in self.layers[:-1]:
            hidden = nn.functional.silu(layer(hidden))
        return self.layers[-1](hidden)


def two_moons(n: int, generator: torch.Generator) -> Tensor:
    """Two interleaved half circles with noise, normalised: `(n, 2)`."""
    angle = torch.pi * torch.rand(n, generator=generator)
    side = torch.randint(2, (n,), generator=generator) * 2 - 1
    moons = torch.stack([angle.cos() - side * 0.5, (angle.sin() - 0.25) * side], dim=1)
    moons = moons + 0.1 * torch.randn(n, 2, generator=generator)
    return (moons - moons.mean(dim=0)) / moons.std(dim=0)


def train(network: Network, kind: str, path: Path, steps: int = 2000, batch: int = 256) -> None:
    generator = seeded(1)
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    data = two_moons(20_000, generator)
    for _ in range(steps):
        x0 = data[torch.randint(len(data), (batch,), generator=generator)]
        noise = torch.randn(batch, 2, generator=generator)
        t = path.draw_times(batch, generator)
        predicted = network(path.interpolate(x0, noise, t), t)
        optimizer.zero_grad()
        (predicted - target_from(kind, path).training_target(x0, noise, t)).square().mean().backward()
        optimizer.step()
        schedule.step()


@torch.no_grad()
def drawn(network: Network, kind: str, path: Path, n: int) -> Tensor:
    noise = torch.randn(n, 2, generator=seeded(2))
    return dpmpp_2m(lambda x, t: target_from(kind, path).to_data(x, network(x, t), t), path, noise, path.times(24))


def energy_test(a: Tensor, b: Tensor, permutations: int = 400) -> float:
    """p-value of the energy distance (Szekely and Rizzo, 2004) between two sets under permutation."""
    both = torch.cat([a, b])
    distances = torch.cdist(both, both)
    sign = torch.cat([torch.full((len(a),), 1 / len(a)), torch.full((len(b),), -1 / len(b))])
    orders = torch.stack([torch.randperm(len(both), generator=seeded(i)) for i in range(permutations)])
    signs = torch.cat([sign[None], sign[orders]])
    energy = -((signs @ distances) * signs).sum(dim=1)
    return float((energy[1:] >= energy[0]).float().mean())


@pytest.mark.parametrize("path", PATHS[:2], ids=["vp", "rf"])
@every_kind
def test_trained_network_draws_the_data_and_an_untrained_one_does_not(kind: str, path: Path) -> None:
    network = Network(seed=4)
    assert energy_test(drawn(network, kind, path, 600), two_moons(600, seeded(3))) < 0.01
    train(network, kind, path)
    assert energy_test(drawn(network, kind, path, 250), two_moons(250, seeded(3))) > 0.05
