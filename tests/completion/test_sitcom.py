"""Samples given observations agree with them, and what is not observed follows as the data hang together."""

import pytest
import torch
from torch.nn import functional as F

from ddmi_core.completion.lbfgs import ProximalSolver
from ddmi_core.completion.likelihoods import Bernoulli, Gaussian
from ddmi_core.completion.sitcom import _through_denoiser, sitcom
from ddmi_core.diffusion.paths import RectifiedFlow, VariancePreserving
from ddmi_core.diffusion.timesteps import timestep_grid
from ddmi_core.errors import RequestError

PATHS = [VariancePreserving(), RectifiedFlow()]
COVARIANCE = torch.tensor([[1.0, 0.9, 0.0], [0.9, 1.0, 0.0], [0.0, 0.0, 1.0]])  # the first two hang together
MEASURED = 1.2  # of the first


def normal_denoiser(path):
    """The exact estimate for normal data of that covariance."""

    def denoise(x, t):
        alpha, sigma = float(path.alpha(t)[0]), float(path.sigma(t)[0])
        return alpha * x @ torch.linalg.inv(alpha**2 * COVARIANCE + sigma**2 * torch.eye(3)) @ COVARIANCE

    return denoise


def misfit_of(noise):
    def misfit(x):
        x = x.detach().requires_grad_()
        value = Gaussian(noise).misfit(x[:, None, :1], torch.tensor([[[MEASURED]]]))
        return value.detach(), torch.autograd.grad(value.sum(), x)[0]

    return misfit


def drawn(path, noise, rows=500, seed=0, candidates=1, callback=None):
    return sitcom(
        normal_denoiser(path),
        path,
        misfit_of(noise),
        torch.randn(rows, candidates, 3, generator=torch.Generator().manual_seed(seed)),
        path.times(12),
        evaluations=6,
        refine=(0.1, 20),
        generator=[torch.Generator().manual_seed(1000 * seed + row) for row in range(rows)],
        callback=callback,
    )


each_path = pytest.mark.parametrize("path", PATHS, ids=lambda path: type(path).__name__)


@each_path
def test_what_is_measured_is_met_as_well_as_its_noise_allows(path):
    assert (drawn(path, 0.02)[:, 0] - MEASURED).abs().max() < 0.04
    assert (drawn(path, 3.0)[:, 0].mean() - MEASURED).abs() > 0.4  # hardly known: data stay near their mean, 0


@each_path
def test_what_is_hidden_follows_what_is_measured_as_far_as_they_hang_together(path):
    _, coupled, free = drawn(path, 0.05).unbind(1)
    assert coupled.mean().item() == pytest.approx(0.9 * MEASURED, abs=0.1)
    assert coupled.std() < 0.44  # the posterior's
    assert abs(free.mean().item()) < 0.15
    assert 0.5 < free.std() < 1  # less than the posterior's


@each_path
def test_a_row_depends_on_its_own_noise_alone(path):
    torch.testing.assert_close(drawn(path, 0.05, rows=1), drawn(path, 0.05, rows=3)[:1])
    assert (drawn(path, 0.05, rows=3, seed=1) - drawn(path, 0.05, rows=3))[:, 2].abs().min() > 1e-3


def test_the_candidate_that_agrees_best_goes_on():
    def misfit(x):  # measured so vaguely that the fits hardly move
        return 1e-6 * (x[:, 0] - MEASURED).square(), 2e-6 * (x - MEASURED) * torch.tensor([1.0, 0.0, 0.0])

    told = []
    noise = torch.tensor([[[-2.0, 0.0, 0.0], [1.5, 0.0, 0.0], [-1.0, 0.0, 0.0]]])
    sitcom(
        normal_denoiser(PATHS[1]),
        PATHS[1],
        misfit,
        noise,
        torch.tensor([0.5, 0.25, 0.0]),
        evaluations=2,
        refine=(0.1, 2),
        generator=torch.Generator().manual_seed(0),
        callback=told.append,
    )
    assert told[0].x0.shape == (1, 3)
    assert told[0].x0[0, 0] > 0.5


def test_the_gradient_goes_through_the_denoiser():
    timestep = timestep_grid(PATHS[1], PATHS[1].times(4))[2]
    denoise = normal_denoiser(PATHS[1])
    x = torch.randn(3, 3, generator=torch.Generator().manual_seed(0)).requires_grad_()
    expected = misfit_of(0.5)(denoise(x, timestep.batch(x)))[0]
    direct = ((denoise(x, timestep.batch(x))[:, 0] - MEASURED) ** 2 / (2 * 0.5**2)).sum()
    value, gradient = _through_denoiser(misfit_of(0.5), denoise, timestep)(x)
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(gradient, torch.autograd.grad(direct, x)[0])


def test_progress_is_told_once_a_level():
    told = []
    drawn(PATHS[0], 0.1, rows=2, callback=told.append)
    assert [(one.step, one.steps) for one in told] == [(step, 12) for step in range(1, 13)]
    assert told[-1].x0.shape == (2, 3)


def quadratic(curvatures, target):
    def misfit(x):
        return (curvatures * (x - target).square()).sum(1) / 2, curvatures * (x - target)

    return misfit


def test_the_solver_finds_the_minimum_of_misfit_and_pull_in_every_row():
    generator = torch.Generator().manual_seed(0)
    curvatures = 10 ** (4 * torch.rand(5, 8, generator=generator))
    target, centre = torch.randn(2, 5, 8, generator=generator)
    solver = ProximalSolver()
    for radius in (1.0, 0.1):  # the second call starts with the curvature that the first has learnt
        found = solver.solve(quadratic(curvatures, target), centre, radius, 60)
        exact = (curvatures * target + centre / radius**2) / (curvatures + 1 / radius**2)
        torch.testing.assert_close(found, exact, atol=1e-3, rtol=1e-3)


def test_a_row_of_the_solver_does_not_depend_on_the_others():
    generator = torch.Generator().manual_seed(0)
    curvatures = 10 ** (3 * torch.rand(4, 6, generator=generator, dtype=torch.float64))
    target, centre = torch.randn(2, 4, 6, generator=generator, dtype=torch.float64)
    together = ProximalSolver().solve(quadratic(curvatures, target), centre, 0.5, 12)
    alone = ProximalSolver().solve(quadratic(curvatures[1:2], target[1:2]), centre[1:2], 0.5, 12)
    torch.testing.assert_close(together[1:2], alone)


def test_the_solver_survives_steps_that_overflow():
    def steep(x):
        return torch.exp(x.square() * 50).sum(1), 100 * x * torch.exp(x.square() * 50)

    found = ProximalSolver().solve(steep, torch.full((1, 3), 0.8), 10.0, 60)
    assert found.isfinite().all()
    assert found.abs().max() < 0.2


def test_labels_pull_with_all_their_weight_where_a_field_is_surely_wrong_and_hardly_where_it_is_right():
    likelihood = Bernoulli(0.01)
    logits = torch.tensor([-60.0, -20.0, 60.0]).view(3, 1, 1).requires_grad_()
    cost = likelihood.misfit(likelihood.expected(logits), torch.ones(3, 1, 1))
    (slope,) = torch.autograd.grad(cost.sum(), logits)
    torch.testing.assert_close(slope.flatten(), torch.tensor([-0.99, -0.99, 0.01]))


def test_labels_fit_best_where_the_field_is_as_sure_as_they_are():
    likelihood = Bernoulli(0.1)
    logits = torch.linspace(-5, 5, 1001).view(-1, 1, 1)
    costs = likelihood.misfit(likelihood.expected(logits), torch.ones(1001, 1, 1))
    assert torch.sigmoid(logits[costs.argmin()]).item() == pytest.approx(0.9, abs=0.001)


def test_a_label_of_0_costs_what_a_label_of_1_does_at_the_opposite_logit():
    likelihood = Bernoulli(0.1)
    logits = torch.linspace(-5, 5, 11).view(-1, 1, 1)
    cost = likelihood.misfit(likelihood.expected(logits), torch.zeros(11, 1, 1))
    expected = -(0.1 * F.logsigmoid(logits) + 0.9 * F.logsigmoid(-logits)).flatten()
    torch.testing.assert_close(cost, expected)
    torch.testing.assert_close(cost, likelihood.misfit(likelihood.expected(-logits), torch.ones(11, 1, 1)))


@pytest.mark.parametrize("noise", [0.0, -1.0, float("nan")])
def test_a_noise_that_is_none_is_refused(noise):
    with pytest.raises(RequestError, match="above 0"):
        Gaussian(noise)
    with pytest.raises(RequestError, match=r"below 0\.5"):
        Bernoulli(noise)
