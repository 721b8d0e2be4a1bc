"""Posterior sampling from measurements (SITCOM, arXiv 2410.04479)."""

from __future__ import annotations

from itertools import pairwise
from math import ceil

import torch
from torch import Tensor

from ddmi_core.completion.lbfgs import Misfit, ProximalSolver
from ddmi_core.diffusion.paths import Path
from ddmi_core.diffusion.samplers import Callback, Denoise, Generators, Progress, noise_like
from ddmi_core.diffusion.timesteps import Timestep, timestep_grid
from ddmi_core.progress import doing, tracked

RADIUS = 2.0  # of the proximal term around a noisy state, in units of its noise
SELECTION = 3  # keep only the best candidate after the first 1/SELECTION of the levels


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
    """Draw clean data that are likely under the denoiser and agree with the measurements.

    At each noise level, `z` minimises `misfit(denoise(z)) + |z - x|^2 / (2 RADIUS^2 sigma^2)`: the denoiser's estimate
    has to agree with the measurements, and the proximal term keeps `z` within the noise of the state `x`. Noise of the
    next level is then added to the estimate at `z`, so the denoiser sees the noise that it was trained on. This is
    SITCOM (Alkhouri et al., arXiv 2410.04479, algorithm 1), with L-BFGS instead of Adam. As in DPS (Chung et al., arXiv
    2209.14687), the gradient goes through the denoiser, whose Jacobian couples observed and hidden parts and keeps the
    result likely. Fitting the clean data around the estimate, as DAPS does (Zhang et al., arXiv 2407.01521), lacks this
    coupling: for shapes that were half hidden, its completions overlapped less with the truth than the nearest
    training shape.

    Later noise levels rarely revise what the first ones decide. Therefore several candidates go through the first
    levels, and only the best one continues. A final fit of the clean data themselves, within a small radius, restores
    details that the denoiser smooths.

    This is a heuristic: samples agree with the measurements and differ from each other, but they are not exact
    posterior samples, and vary less.

    Args:
        denoise: estimates clean data; differentiable.
        path: the path that it was trained on.
        misfit: negative log-likelihood of the measurements, with its gradient, at clean data.
        x: `(B, K, L)`, standard normal noise of K candidates per sample.
        times: `(steps + 1,)`, decreasing to 0; `path.times(steps)`.
        evaluations: number of evaluations of denoiser and misfit per level.
        refine: radius of the final fit, in standard deviations of the data, and its number of evaluations.
        generator: one for all samples, or one per sample.
        callback: called after each level.

    Returns:
        `(B, L)`, clean data.
    """
    grid = timestep_grid(path, times)
    steps = len(grid) - 1
    samples = len(x)
    for step, (now, after) in enumerate(tracked("noise levels", pairwise(grid), steps), start=1):
        rows = ProximalSolver().solve(
            _through_denoiser(misfit, denoise, now), x.flatten(0, 1), RADIUS * now.sigma, evaluations
        )
        with torch.no_grad():
            estimate = denoise(rows, now.batch(rows))
        if step == ceil(steps / SELECTION):
            best = misfit(estimate)[0].view(samples, -1).argmin(dim=1)
            estimate = estimate.view(x.shape)[torch.arange(samples, device=best.device), best]
        if callback is not None:
            callback(Progress(step, steps, now.time, estimate))
        if step < steps:
            x = estimate.view(samples, -1, x.shape[2])
            x = after.alpha * x + after.sigma * noise_like(x, generator)
    with doing("final fit"):
        return ProximalSolver().solve(misfit, estimate, *refine)


def _through_denoiser(misfit: Misfit, denoise: Denoise, timestep: Timestep) -> Misfit:
    """The misfit of the denoiser's estimate, as a function of the noisy state."""

    @torch.enable_grad()
    def evaluated(x: Tensor) -> tuple[Tensor, Tensor]:
        x = x.detach().requires_grad_()
        estimate = denoise(x, timestep.batch(x))
        value, slope = misfit(estimate.detach())
        (gradient,) = torch.autograd.grad(estimate, x, slope)
        return value, gradient

    return evaluated
