"""Samples that agree with observations: at every noise level, the state nearest by whose estimate agrees with them."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor

from ddmi_core.completion.lbfgs import Misfit, ProximalSolver
from ddmi_core.diffusion.paths import Path
from ddmi_core.diffusion.samplers import Callback, Denoise, Generators, Progress, noise_like
from ddmi_core.diffusion.timesteps import Knot, knots

NOISE = 0.05  # of the measurements
STEPS = 32  # noise levels
RADIUS = 2.0  # of the pull towards a noisy state, in units of its noise
CHOICE = 3  # the candidate that agrees best is chosen after one level in so many


def sitcom(
    denoise: Denoise,
    path: Path,
    misfit: Misfit,
    x: Tensor,
    times: Tensor,
    *,
    evaluations: int,
    refine: tuple[float, int],
    generator: Generators,
    callback: Callback | None = None,
) -> Tensor:
    """Draw clean data that a denoiser finds likely and that agree with observations.

    At each noise level the state is moved until the denoiser's estimate agrees with the observations, and no further
    than its noise allows: `z` minimises `misfit(denoise(z)) + |z - x|^2 / (2 RADIUS^2 sigma^2)`. Fresh noise of the
    next level is then added to the estimate at `z`, so that its noise is what the denoiser knows. This is SITCOM
    (Alkhouri et al., arXiv 2410.04479, algorithm 1), with L-BFGS in place of Adam. As in DPS (Chung et al., arXiv
    2209.14687) the gradient goes through the denoiser, whose Jacobian couples what is observed with what is not and
    keeps to likely data. Fits of clean data about the estimate, as in DAPS (Zhang et al., arXiv 2407.01521), know
    nothing of this: of shapes that were half hidden, what they put there overlapped less with the truth than the
    nearest training shape.

    What is chosen at the first levels is hardly taken back at later ones, so several candidates go through those, and
    the one that agrees best goes on. A last fit is of the clean data themselves, with a small radius, for details that
    the denoiser would smooth.

    This is a heuristic: samples agree with the observations and differ from each other, but are not exact draws from
    the posterior, and vary less than those would.

    Args:
        denoise: estimates clean data; differentiable.
        path: the path that it was trained on.
        misfit: negative log-likelihood of the observations, with its gradient, at clean data.
        x: `(B, K, L)`, standard normal noise of K candidates a sample.
        times: `(steps + 1,)`, falling to 0; `path.times(steps)`.
        evaluations: of denoiser and misfit at each level.
        refine: radius of the last fit, in units of the data's deviation, and its evaluations.
        generator: one for all samples, or one a sample.
        callback: called once a level.

    Returns:
        `(B, L)`, clean data.
    """
    grid = knots(path, times)
    steps = len(grid) - 1
    samples = len(x)
    for step, (now, after) in enumerate(pairwise(grid), start=1):
        rows = ProximalSolver().solve(_through(denoise, now, misfit), x.flatten(0, 1), RADIUS * now.sigma, evaluations)
        with torch.no_grad():
            estimate = denoise(rows, now.batch(rows))
        if step == -(-steps // CHOICE):
            best = misfit(estimate)[0].view(samples, -1).argmin(dim=1)
            estimate = estimate.view(x.shape)[torch.arange(samples, device=best.device), best]
        if callback is not None:
            callback(Progress(step, steps, now.time, estimate))
        if step < steps:
            x = estimate.view(samples, -1, x.shape[2])
            x = after.alpha * x + after.sigma * noise_like(x, generator)
    return ProximalSolver().solve(misfit, estimate, *refine)


def _through(denoise: Denoise, knot: Knot, misfit: Misfit) -> Misfit:
    """The misfit of a noisy state's estimate."""

    @torch.enable_grad()
    def evaluated(x: Tensor) -> tuple[Tensor, Tensor]:
        x = x.detach().requires_grad_()
        estimate = denoise(x, knot.batch(x))
        value, slope = misfit(estimate.detach())
        (gradient,) = torch.autograd.grad(estimate, x, slope)
        return value, gradient

    return evaluated
