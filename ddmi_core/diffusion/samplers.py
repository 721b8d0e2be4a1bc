"""Samplers of the probability-flow ODE and SDE: DDIM, ancestral, Euler, Heun, DPM-Solver++(2M), UniPC, MeanFlow.

A denoiser is a function `denoise(x (B, L), t (B,)) -> (B, L)` that estimates the clean data x0, so that any
sampler runs on any model, path and prediction target. The times decrease and need not end at 0. A step to
sigma = 0 and a step from alpha = 0 are finite in every sampler. Samplers keep the caller's gradient mode.

Each sampler is written as the loop of its paper, a generator that yields after every step; `Sampler` adds the
common signature, the time-step grid and the callback.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import pairwise

import torch
from attrs import frozen
from torch import Tensor

from ddmi_core.diffusion.paths import Path
from ddmi_core.diffusion.timesteps import Evaluation, Timestep, corrected, exponential_step, extrapolated, timestep_grid
from ddmi_core.errors import NotFiniteError
from ddmi_core.progress import tracked
from ddmi_core.registry.extensions import part

Denoise = Callable[[Tensor, Tensor], Tensor]  # x (B, L), t (B,) or spans (B, 2) -> estimate of x0 (B, L)
Generators = torch.Generator | Sequence[torch.Generator]
Grid = Sequence[Timestep]  # steps + 1 time steps, from noise to data
Steps = Iterator[tuple[Tensor, Tensor]]  # after each step: the new x (B, L), and the x0 (B, L) that it was made with
Loop = Callable[[Denoise, Tensor, Grid, Generators | None], Steps]


@frozen(eq=False)
class Progress:
    """What a sampler reports after each step."""

    step: int  # from 1
    steps: int
    time: float  # at which the estimate was made
    x0: Tensor  # (B, L), estimate of the clean data


Callback = Callable[[Progress], None]


class Sampler:
    """A sampling method: turns a loop over the time steps into a function with the signature of all samplers.

    Args:
        loop: generator function `(denoise, x, grid, generator)` that yields x and x0 after each step.
        evaluations: number of denoiser calls for a number of steps that end at t = 0; by default one per step.

    Example:
        >>> path, x = RectifiedFlow(), torch.randn(4, 64, generator=torch.Generator().manual_seed(0))
        >>> data = dpmpp_2m(denoise, path, x, path.times(16))
    """

    def __init__(self, loop: Loop, evaluations: Callable[[int], int] = int) -> None:
        self._loop, self.evaluations = loop, evaluations
        self.__name__, self.__doc__ = loop.__name__, loop.__doc__

    def __call__(
        self,
        denoise: Denoise,
        path: Path,
        x: Tensor,
        times: Tensor,
        *,
        generator: Generators | None = None,
        callback: Callback | None = None,
    ) -> Tensor:
        """Integrate x from the first time to the last.

        Args:
            denoise: estimates the clean data; called with times `(B,)` of x's dtype and device, and by `mean_flow` with
                `(B, 2)`, start and end of a step.
            path: the path that the denoiser was trained on.
            x: `(B, L)`, the state at `times[0]`: standard normal noise at t = 1.
            times: `(steps + 1,)`, decreasing; usually `path.times(steps)`.
            generator: on the CPU, one for all rows or one per row, whose noise then does not depend on the other
                rows; required by samplers that draw noise, ignored by the others.
            callback: called after each step; an exception that it raises ends the sampling.

        Returns:
            `(B, L)`, the state at `times[-1]`: data at t = 0.

        Raises:
            ValueError: if the times do not decrease, or a required generator is missing.
            NotFiniteError: at the first step whose result is not finite.
        """
        grid = timestep_grid(path, times)
        steps = tracked("sampling steps", self._loop(denoise, x, grid, generator), len(grid) - 1)
        for step, result in enumerate(steps, start=1):
            x, x0 = result
            if not torch.isfinite(x).all():
                raise NotFiniteError(
                    f"sampling has values that are not finite after step {step} of {len(grid) - 1}. Fix: lower the "
                    "guidance, or take other steps or another sampler; if it happens with every setting, the weights "
                    "are unusable: train again with a lower training.rate"
                )
            if callback is not None:
                callback(Progress(step, len(grid) - 1, grid[step - 1].time, x0))
        return x


def noise_like(x: Tensor, generator: Generators) -> Tensor:
    """Standard normal noise like x, drawn on the CPU."""
    if isinstance(generator, torch.Generator):
        return torch.randn(x.shape, generator=generator, dtype=x.dtype).to(x.device)
    rows = [torch.randn(x.shape[1:], generator=g, dtype=x.dtype) for g in generator]
    return torch.stack(rows).to(x.device)


@Sampler
def ddim(denoise: Denoise, x: Tensor, grid: Grid, generator: Generators | None) -> Steps:
    """DDIM with eta = 0 (arXiv 2010.02502, equation 12): first order, exact for a constant estimate."""
    for now, after in pairwise(grid):
        x0 = denoise(x, now.batch(x))
        x = exponential_step(now, after, x, x0)
        yield x, x0


@Sampler
def ancestral(denoise: Denoise, x: Tensor, grid: Grid, generator: Generators | None) -> Steps:
    """DDPM's posterior `q(x_s | x_t, x0)`, s < t (arXiv 2006.11239, equation 7), or DDIM with eta = 1.

    For any path and grid, as in Kingma et al. (arXiv 2107.00630, appendix A.2): with
    `ratio = alpha_t / alpha_s`, `added` is the variance of the noise added between s and t.
    """
    if generator is None:
        raise ValueError("the ancestral sampler draws noise at every step. Fix: pass a generator")
    for now, after in pairwise(grid):
        x0 = denoise(x, now.batch(x))
        ratio, kept = now.alpha / after.alpha, (after.sigma / now.sigma) ** 2
        added = now.sigma**2 - (ratio * after.sigma) ** 2
        noise = noise_like(x, generator)
        x = ratio * kept * x + after.alpha * added / now.sigma**2 * x0 + (added * kept) ** 0.5 * noise
        yield x, x0


@Sampler
def euler(denoise: Denoise, x: Tensor, grid: Grid, generator: Generators | None) -> Steps:
    """Euler's method on the probability-flow ODE in the path's phase, where the slope is the velocity."""
    return _straight(denoise, x, grid, lambda now, after: now.batch(x))


@Sampler
def mean_flow(denoise: Denoise, x: Tensor, grid: Grid, generator: Generators | None) -> Steps:
    """Euler's method with the average velocity of each step, which is exact (MeanFlow, arXiv 2505.13447, equation 12).

    It requires a model that was trained with `diffusion.few_steps`. A denoiser is called with `(B, 2)`, times at which
    the step starts and ends, and returns the x0 whose velocity at the start is the average velocity.
    """
    return _straight(denoise, x, grid, lambda now, after: torch.stack([now.batch(x), after.batch(x)], dim=1))


def _straight(denoise: Denoise, x: Tensor, grid: Grid, times: Callable[[Timestep, Timestep], Tensor]) -> Steps:
    """Steps of constant velocity in the phase."""
    for now, after in pairwise(grid):
        x0 = denoise(x, times(now, after))
        x = x + (after.phase - now.phase) * now.velocity(x, x0)
        yield x, x0


@partial(Sampler, evaluations=lambda steps: 2 * steps - 1)
def heun(denoise: Denoise, x: Tensor, grid: Grid, generator: Generators | None) -> Steps:
    """EDM's second-order method (arXiv 2206.00364, algorithm 1), in the path's phase.

    Two evaluations per step; a step to sigma = 0 is an Euler step, with one evaluation.
    """
    for now, after in pairwise(grid):
        x0 = denoise(x, now.batch(x))
        slope = now.velocity(x, x0)
        if after.sigma > 0:
            ahead = x + (after.phase - now.phase) * slope
            slope = (slope + after.velocity(ahead, denoise(ahead, after.batch(x)))) / 2
        x = x + (after.phase - now.phase) * slope
        yield x, x0


@Sampler
def dpmpp_2m(denoise: Denoise, x: Tensor, grid: Grid, generator: Generators | None) -> Steps:
    """DPM-Solver++(2M) (arXiv 2211.01095, algorithm 2): x0 is extrapolated in the half log-SNR.

    The first step and a step to sigma = 0 are of first order.
    """
    before: Evaluation | None = None
    for now, after in pairwise(grid):
        current = Evaluation(now, denoise(x, now.batch(x)))
        x = exponential_step(now, after, x, extrapolated(before, current, after))
        before = current
        yield x, current.x0


@Sampler
def unipc(denoise: Denoise, x: Tensor, grid: Grid, generator: Generators | None) -> Steps:
    """UniPC-2 with B2(h), predicting data (arXiv 2302.04867, algorithms 1 and 2).

    The predictor is the DPM-Solver++(2M) step. The estimate at its end is then used to repeat the step with a
    corrector, without a further evaluation. A step to sigma = 0 is of first order and not corrected.
    """
    older: Evaluation | None = None
    last: Evaluation | None = None
    start = x  # the corrected state at the last time step
    for now, after in pairwise(grid):
        current = Evaluation(now, denoise(x, now.batch(x)))
        if last is not None:
            x = exponential_step(last.timestep, now, start, corrected(older, last, current))
        start, x = x, exponential_step(now, after, x, extrapolated(last, current, after))
        older, last = last, current
        yield x, current.x0


def sampler_named(name: str) -> Sampler:
    """The built-in sampler with this name, or that of an extension.

    Raises:
        RequestError: if there is none; the message suggests the nearest name.
    """
    sampler: Sampler = part("samplers", name)
    return sampler


def evaluations(name: str, steps: int) -> int:
    """Number of denoiser calls of a sampler for `steps` steps that end at t = 0.

    Raises:
        RequestError: if there is no such sampler.
    """
    sampler = sampler_named(name)
    return sampler.evaluations(steps) if isinstance(sampler, Sampler) else steps


def most_steps(name: str, calls: int) -> int:
    """Most steps of a sampler with at most `calls` calls of the denoiser; 0 if one step takes more.

    Raises:
        RequestError: if there is no such sampler.
    """
    return max((steps for steps in range(1, calls + 1) if evaluations(name, steps) <= calls), default=0)
