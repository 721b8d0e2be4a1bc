"""Samples given observations follow the posterior where it is known, whatever the path and the target."""

import pytest
import torch

from ddmi_core.diffusion.likelihoods import Bernoulli, Gaussian
from ddmi_core.diffusion.observations import annealed
from ddmi_core.diffusion.paths import RectifiedFlow, VariancePreserving
from ddmi_core.diffusion.proximal import ProximalSolver
from ddmi_core.errors import RequestError

PATHS = [VariancePreserving(), RectifiedFlow()]
OPERATOR = torch.tensor([[1.0, 0.5, 0.0], [0.0, 1.0, -1.0]])
MEASURED = torch.tensor([[0.8, -1.2]])


def normal_denoiser(path):
    """The exact estimate for standard normal data: `alpha x / (alpha^2 + sigma^2)`."""

    def denoise(x, t):
        alpha, sigma = path.alpha(t)[:, None], path.sigma(t)[:, None]
        return alpha * x / (alpha**2 + sigma**2)

    return denoise


def linear_misfit(likelihood, measured):
    def misfit(x):
        x = x.detach().requires_grad_()
        value = likelihood.misfit((x @ OPERATOR.T)[:, None], measured)
        return value.detach(), torch.autograd.grad(value.sum(), x)[0]

    return misfit


def drawn(path, noise, rows=4000, seed=0, callback=None):
    generator = torch.Generator().manual_seed(seed)
    likelihood = Gaussian(noise)
    measured = MEASURED[None].expand(rows, -1, -1)
    return annealed(
        normal_denoiser(path),
        path,
        lambda: linear_misfit(likelihood, likelihood.redrawn(measured, generator)),
        torch.randn(rows, 3, generator=generator),
        path.times(12),
        evaluations=10,
        generator=generator,
        callback=callback,
    )


@pytest.mark.parametrize("noise", [0.05, 0.7])
@pytest.mark.parametrize("path", PATHS, ids=lambda path: type(path).__name__)
def test_samples_of_a_linear_gaussian_problem_have_its_posterior_s_mean_and_covariance(path, noise):
    x = drawn(path, noise)
    covariance = torch.linalg.inv(torch.eye(3) + OPERATOR.T @ OPERATOR / noise**2)
    mean = covariance @ OPERATOR.T @ MEASURED[0] / noise**2
    torch.testing.assert_close(x.mean(0), mean, atol=0.05, rtol=0)
    torch.testing.assert_close(x.T.cov(), covariance, atol=0.05, rtol=0)
    # What is measured is known far better than the rest. The last fit has no noise, so a little of its variance lacks.
    seen = x @ OPERATOR.T
    torch.testing.assert_close(seen.T.cov(), OPERATOR @ covariance @ OPERATOR.T, atol=0.3 * noise**2, rtol=0)


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


@pytest.mark.parametrize("noise", [0.0, -1.0, float("nan")])
def test_a_noise_that_is_none_is_refused(noise):
    with pytest.raises(RequestError, match="above 0"):
        Gaussian(noise)
    with pytest.raises(RequestError, match=r"below 0\.5"):
        Bernoulli(noise)
