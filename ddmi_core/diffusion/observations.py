"""Samples that agree with observations: decoupled annealing with a randomised fit at every noise level."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor

from ddmi_core.diffusion.knots import knots
from ddmi_core.diffusion.paths import Path
from ddmi_core.diffusion.proximal import Misfit, ProximalSolver
from ddmi_core.diffusion.samplers import Callback, Denoise, Generators, Progress, noise_like

LAST = 5  # the last fit, which nothing mends, gets this many times the evaluations


def annealed(
    denoise: Denoise,
    path: Path,
    redrawn: Callable[[], Misfit],
    x: Tensor,
    times: Tensor,
    *,
    evaluations: int,
    refine: float = 0.0,
    generator: Generators,
    callback: Callback | None = None,
) -> Tensor:
    """Draw clean data from the prior of a denoiser, given observations.

    Decoupled annealing (DAPS, Zhang et al., arXiv 2407.01521, algorithm 1): at each noise level clean data are drawn
    from `p(x0 | x_t, observations)`, and noise of the next level is added to them, so that the marginal of every
    level stays `p(x_t | observations)` (proposition 1 there). Two choices differ from that paper:

    - `p(x0 | x_t)` is a normal distribution about the denoiser's estimate, with the variance
      `sigma^2 / (alpha^2 + sigma^2)` that it has for standard normal data (as in pseudoinverse guidance, Song et
      al., ICLR 2023). For such data everything here is exact.
    - It is joined with the observations not by Langevin steps but by randomise-then-optimise (Bardsley et al., SIAM
      J. Sci. Comput. 36, 2014): both the estimate and the measured values get noise of their own size, and the most
      probable point for these is found. For observations linear in the data that is an exact draw.

    The last fit starts from the estimate without noise, as the last step of a sampler does. It may be given a wider
    radius: a learned estimate is less sure than its noise level says, and without it fields that were measured
    precisely stay short of agreement. That counts the measurements twice where their noise is large.

    Args:
        denoise: estimates clean data.
        path: the path that it was trained on.
        redrawn: gives the misfit of measurements drawn anew.
        x: `(B, L)`, standard normal noise.
        times: `(steps + 1,)`, falling to 0; `path.times(steps)`.
        evaluations: of the misfit at each level.
        refine: least radius of the last fit, in units of the data's deviation; 0 for exactness.
        generator: one for all rows, or one a row.
        callback: called once a level.

    Returns:
        `(B, L)`, clean data.
    """
    grid, solver = knots(path, times), ProximalSolver()
    steps = len(grid) - 1
    for step, (now, after) in enumerate(pairwise(grid), start=1):
        with torch.no_grad():
            estimate = denoise(x, now.batch(x))
        last = step == steps
        radius = now.sigma / (now.alpha**2 + now.sigma**2) ** 0.5
        centre = estimate if last else estimate + radius * noise_like(x, generator)
        reach, share = (max(radius, refine), LAST) if last else (radius, 1)
        clean = solver.solve(redrawn(), centre, reach, evaluations * share)
        if callback is not None:
            callback(Progress(step, steps, now.time, clean))
        if not last:
            x = after.alpha * clean + after.sigma * noise_like(x, generator)
    return clean
