"""Muon: its steps in closed form, what it leaves to AdamW, and steps that it skips."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from test_trainer import Regression, run_through, same, stage
from torch import nn

from ddmi_core.errors import CheckpointError, Interrupted, TrainingError
from ddmi_core.training import checkpoint
from ddmi_core.training.config import TrainingConfig
from ddmi_core.training.muon import CUBIC, LEAST, MOMENTUM, QUINTIC, SIZE, SLOPE, TIMES, Muon, orthogonal
from ddmi_core.training.shutdown import StopRequest
from ddmi_core.training.trainer import train

RATE = 0.01
CONFIG = TrainingConfig(optimizer="muon", steps=6, batch=3, rate=1e-2, warmup=2, ema=0.8, checkpoint=2, log=1, clip=0.5)


def mapped(value: float) -> float:
    """What the polynomial makes of one singular value."""
    for _ in range(TIMES):
        value = SLOPE * value + CUBIC * value**3 + QUINTIC * value**5
    return value


def of_singular_values(values: torch.Tensor, columns: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    left, _ = torch.linalg.qr(torch.randn(len(values), len(values), generator=generator, dtype=torch.double))
    right, _ = torch.linalg.qr(torch.randn(columns, len(values), generator=generator, dtype=torch.double))
    return left @ values.double().diag() @ right.mT


@settings(max_examples=30, deadline=None)
@given(rows=st.integers(1, 9), columns=st.integers(1, 20), seed=st.integers(0, 99))
def test_singular_vectors_stay_and_each_singular_value_is_mapped_by_the_polynomial(rows, columns, seed):
    values = torch.rand(min(rows, columns), generator=torch.Generator().manual_seed(seed)) + 0.05
    matrix = of_singular_values(values, max(rows, columns), seed)
    wanted = torch.tensor([mapped(float(value / values.norm())) for value in values])
    expected = of_singular_values(wanted, max(rows, columns), seed)
    if rows > columns:
        matrix, expected = matrix.mT, expected.mT
    found = orthogonal(matrix.float()[None])[0]
    torch.testing.assert_close(found, expected.float(), atol=2e-4, rtol=2e-3)


def test_singular_values_end_near_one():
    matrices = torch.randn(3, 40, 90, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(orthogonal(matrices))
    assert 0.6 < float(values.min()) <= float(values.max()) < 1.2


def test_a_matrix_of_zeros_stays_zero():
    assert torch.equal(orthogonal(torch.zeros(1, 8, 8)), torch.zeros(1, 8, 8))


def stepped(module: nn.Module, gradients: list[torch.Tensor], weight_decay: float = 0.0) -> Muon:
    """An optimiser after steps whose gradient of every weight is given."""
    optimiser = Muon(module, (0.9, 0.99), weight_decay)
    optimiser.param_groups[0]["lr"] = RATE
    for gradient in gradients:
        for parameter in module.parameters():
            parameter.grad = gradient[: parameter.numel()].view_as(parameter).clone()
        optimiser.step()
    return optimiser


@pytest.mark.parametrize("layer", [nn.Linear(20, 10), nn.Conv2d(4, 12, 3), nn.Conv1d(9, 8, 1)])
def test_two_steps_follow_the_formula_of_the_class(layer):
    weight = layer.weight
    before, rows = weight.detach().clone(), len(weight)
    gradients = [torch.randn(2000, generator=torch.Generator().manual_seed(seed)) for seed in range(2)]
    first, second = (gradient[: weight.numel()].view(rows, -1) for gradient in gradients)
    stepped(layer, gradients, weight_decay=0.1)
    expected, size = before.view(rows, -1), SIZE * max(rows, weight[0].numel()) ** 0.5
    mean = torch.zeros_like(first)
    for gradient in (first, second):
        mean = MOMENTUM * mean + (1 - MOMENTUM) * gradient
        step = orthogonal((MOMENTUM * mean + (1 - MOMENTUM) * gradient)[None])[0]
        expected = (1 - RATE * 0.1) * expected - RATE * size * step
    torch.testing.assert_close(weight.detach().view(rows, -1), expected, atol=1e-6, rtol=1e-4)


def test_the_size_of_a_gradient_has_no_influence_and_that_of_a_step_is_that_of_adamw():
    layers = [nn.Linear(64, 32) for _ in range(2)]
    layers[1].load_state_dict(layers[0].state_dict())
    before = layers[0].weight.detach().clone()
    gradient = torch.randn(2048, generator=torch.Generator().manual_seed(0))
    for layer, factor in zip(layers, (1e-4, 1e4), strict=True):
        stepped(layer, [gradient * factor])
    torch.testing.assert_close(layers[0].weight, layers[1].weight, atol=1e-6, rtol=1e-4)
    moved = (layers[0].weight.detach() - before).square().mean().sqrt() / RATE
    assert 0.15 < float(moved) < 0.25


class Mixed(nn.Module):
    """Every kind of parameter: a matrix, a bias, a table of vectors, a bare parameter, few rows, a shared weight."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.few = nn.Linear(16, 16), nn.Linear(16, LEAST - 1)
        self.table, self.norm = nn.Embedding(20, 16), nn.GroupNorm(2, 16)
        self.bare = nn.Parameter(torch.ones(16, 16))
        self.again = self.layer


def test_parameters_that_are_no_matrices_of_layers_take_the_steps_of_adamw():
    module = Mixed()
    twin = deepcopy(module)
    gradient = torch.randn(512, generator=torch.Generator().manual_seed(1))
    optimiser = stepped(module, [gradient, -0.5 * gradient])
    assert [id(weight) for weight in optimiser.matrices] == [id(module.layer.weight)]
    adam = torch.optim.AdamW(twin.parameters(), lr=RATE, betas=(0.9, 0.99), weight_decay=0.0, fused=True)
    for factor in (1.0, -0.5):
        for parameter in twin.parameters():
            parameter.grad = factor * gradient[: parameter.numel()].view_as(parameter)
        adam.step()
    theirs = dict(twin.named_parameters())
    same = {name for name, parameter in module.named_parameters() if torch.equal(parameter, theirs[name])}
    assert set(theirs) - same == {"layer.weight"}


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_a_marked_step_changes_nothing(weight_decay):
    layer = nn.Linear(16, 16)
    optimiser = stepped(layer, [torch.randn(256, generator=torch.Generator().manual_seed(0))], weight_decay)
    kept = {name: value.clone() for name, value in layer.state_dict().items()}
    states = deepcopy(optimiser.state_dict()["state"])
    for parameter in layer.parameters():
        parameter.grad = torch.full_like(parameter, float("nan"))
    optimiser.found_inf = torch.ones(())
    optimiser.step()
    assert all(torch.equal(value, kept[name]) for name, value in layer.state_dict().items())
    now = optimiser.state_dict()["state"]
    assert torch.equal(now[0]["momentum"], states[0]["momentum"])
    assert torch.equal(now[1]["exp_avg"], states[1]["exp_avg"])


def test_a_weight_without_a_gradient_stays():
    layer = nn.Linear(16, 16)
    kept = layer.weight.detach().clone()
    optimiser = Muon(layer, (0.9, 0.99), 0.1)
    layer.bias.grad = torch.ones(16)
    optimiser.step()
    assert torch.equal(layer.weight, kept)
    assert layer.weight not in optimiser.state


def test_a_closure_is_refused():
    with pytest.raises(ValueError, match="takes no closure"):
        Muon(nn.Linear(8, 8), (0.9, 0.99), 0.0).step(lambda: 0.0)


class Wide(Regression):
    """A regression with a matrix between two layers that are left to AdamW."""

    def __init__(self, *options) -> None:
        super().__init__(*options)
        with torch.random.fork_rng():
            torch.manual_seed(3)
            layers = [nn.Linear(4, 16), nn.SiLU(), nn.Linear(16, 16), nn.SiLU(), nn.Linear(16, 2)]
        self.trained = nn.Sequential(*layers)


@pytest.mark.parametrize("step", range(CONFIG.steps))
def test_a_stop_at_any_step_and_resumption_give_the_same_bits(step, tmp_path):
    undisturbed = run_through(tmp_path / "undisturbed", Wide, CONFIG)
    stop = StopRequest()

    def ask(now: int) -> None:
        stop.signal_number = 15 * (now == step)

    with pytest.raises(Interrupted):
        train(stage(tmp_path / "stopped", CONFIG, stop=stop), {"main": Wide(ask)})
    assert same(run_through(tmp_path / "stopped", Wide, CONFIG), undisturbed)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_the_trainer_takes_steps_of_the_chosen_optimizer(precision, tmp_path):
    muon, adamw = (
        run_through(tmp_path / name, Wide, evolve(CONFIG, optimizer=name, precision=precision)).weights
        for name in ("muon", "adamw")
    )
    assert not torch.equal(muon["2.weight"], adamw["2.weight"])
    assert all(weight.isfinite().all() for weight in muon.values())


def test_a_loss_that_is_not_finite_reaches_no_weight(tmp_path):
    spoilt = Wide(lambda step: None, lambda step: float("nan") if step == 3 else 1.0)
    with pytest.raises(TrainingError, match="at step 3; the checkpoint of step 2 is kept"):
        train(stage(tmp_path, evolve(CONFIG, log=2)), {"main": spoilt})
    kept = checkpoint.load(tmp_path / "stage" / "step-00000002").tensors("main")
    assert all(torch.isfinite(tensor).all() for tensor in kept.values())
    assert all(torch.isfinite(tensor).all() for tensor in spoilt.trained.state_dict().values())


def test_a_stored_run_of_the_other_optimizer_is_not_continued(tmp_path):
    stop = StopRequest()
    stop.signal_number = 15
    with pytest.raises(Interrupted):
        train(stage(tmp_path, CONFIG, stop=stop, settings={"optimizer": "muon"}), {"main": Wide()})
    with pytest.raises(CheckpointError, match="optimizer"):
        train(stage(tmp_path, evolve(CONFIG, optimizer="adamw"), settings={"optimizer": "adamw"}), {"main": Wide()})
