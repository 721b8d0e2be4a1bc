"""Samplers: loops that turn noise into data with a denoiser, one function a method, all of one signature.

A denoiser is a function `denoise(x (B, L), t (B,)) -> (B, L)` that estimates the clean data x0, so that any
sampler runs on any model, path and prediction target. The times fall, and need not end at 0; a step to
sigma = 0, and one from alpha = 0, are finite in every sampler. Samplers keep the caller's gradient mode.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Protocol

import torch
from attrs import frozen
from torch import Tensor

from ddmi_core.diffusion.paths import Path
from ddmi_core.diffusion.timesteps import Evaluation, corrected, exponential_step, extrapolated, knots
from ddmi_core.errors import RequestError, unknown_name

Denoise = Callable[[Tensor, Tensor], Tensor]  # x (B, L), t (B,) -> estimate of x0 (B, L)
Generators = torch.Generator | Sequence[torch.Generator]


@frozen(eq=False)
class Progress:
    """What a sampler tells once a step, when the step is done."""

    step: int  # counted from 1
    steps: int
    time: float  # at which the estimate was made
    x0: Tensor  # (B, L), estimate of the clean data


Callback = Callable[[Progress], None]


class Sampler(Protocol):
    """The signature of every sampler.

    Example:
        >>> path, x = RectifiedFlow(), torch.randn(4, 64, generator=torch.Generator().manual_seed(0))
        >>> data = dpmpp_2m(denoise, path, x, path.times(16))
    """

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
        """Carry x from the first time to the last.

        Args:
            denoise: estimates the clean data; called with times of x's dtype and device.
            path: the path that the denoiser was trained on.
            x: `(B, L)`, the state at `times[0]`: standard normal noise at t = 1.
            times: `(steps + 1,)`, falling; usually `path.times(steps)`.
            generator: on the CPU, one for all rows or one a row, whose noise then does not depend on the other
                rows; needed by samplers that draw noise, and left alone by the others.
            callback: called once a step; what it raises ends the sampling.

        Returns:
            `(B, L)`, the state at `times[-1]`: data at t = 0.

        Raises:
            ValueError: if the times do not fall, or a generator is needed and not given.
        """


def noise_like(x: Tensor, generator: Generators) -> Tensor:
    """Standard normal noise like x, drawn on the CPU."""
    if isinstance(generator, torch.Generator):
        return torch.randn(x.shape, generator=generator, dtype=x.dtype).to(x.device)
    rows = [torch.randn(x.shape[1:], generator=g, dtype=x.dtype) for g in generator]
    return torch.stack(rows).to(x.device)


def _silent(progress: Progress) -> None:
    """Ignore the progress."""


def ddim(
    denoise: Denoise,
    path: Path,
    x: Tensor,
    times: Tensor,
    *,
    generator: Generators | None = None,
    callback: Callback | None = None,
) -> Tensor:
    """DDIM with eta = 0 (arXiv 2010.02502, equation 12): first order, exact for a constant estimate."""
    grid, tell = knots(path, times), callback or _silent
    for step, (now, after) in enumerate(pairwise(grid), start=1):
        x0 = denoise(x, now.batch(x))
        x = exponential_step(now, after, x, x0)
        tell(Progress(step, len(grid) - 1, now.time, x0))
    return x


def ancestral(
    denoise: Denoise,
    path: Path,
    x: Tensor,
    times: Tensor,
    *,
    generator: Generators | None = None,
    callback: Callback | None = None,
) -> Tensor:
    """DDPM's posterior `q(x_s | x_t, x0)`, s < t (arXiv 2006.11239, equation 7), or DDIM with eta = 1.

    For any path and grid, as in Kingma et al. (arXiv 2107.00630, appendix A.2): with
    `ratio = alpha_t / alpha_s`, `added` is the variance of the noise that joins between s and t.
    """
    if generator is None:
        raise ValueError("the ancestral sampler draws noise at every step: give it a generator")
    grid, tell = knots(path, times), callback or _silent
    for step, (now, after) in enumerate(pairwise(grid), start=1):
        x0 = denoise(x, now.batch(x))
        ratio, kept = now.alpha / after.alpha, (after.sigma / now.sigma) ** 2
        added = now.sigma**2 - (ratio * after.sigma) ** 2
        noise = noise_like(x, generator)
        x = ratio * kept * x + after.alpha * added / now.sigma**2 * x0 + (added * kept) ** 0.5 * noise
        tell(Progress(step, len(grid) - 1, now.time, x0))
    return x


def euler(
    denoise: Denoise,
    path: Path,
    x: Tensor,
    times: Tensor,
    *,
    generator: Generators | None = None,
    callback: Callback | None = None,
) -> Tensor:
    """Euler's method on the probability-flow ODE in the path's phase, where the slope is the velocity."""
    grid, tell = knots(path, times), callback or _silent
    for step, (now, after) in enumerate(pairwise(grid), start=1):
        x0 = denoise(x, now.batch(x))
        x = x + (after.phase - now.phase) * now.velocity(x, x0)
        tell(Progress(step, len(grid) - 1, now.time, x0))
    return x


def heun(
    denoise: Denoise,
    path: Path,
    x: Tensor,
    times: Tensor,
    *,
    generator: Generators | None = None,
    callback: Callback | None = None,
) -> Tensor:
    """EDM's second-order method (arXiv 2206.00364, algorithm 1), in the path's phase.

    Two evaluations a step; a step to sigma = 0 is Euler's, with one.
    """
    grid, tell = knots(path, times), callback or _silent
    for step, (now, after) in enumerate(pairwise(grid), start=1):
        x0 = denoise(x, now.batch(x))
        slope = now.velocity(x, x0)
        if after.sigma > 0:
            ahead = x + (after.phase - now.phase) * slope
            slope = (slope + after.velocity(ahead, denoise(ahead, after.batch(x)))) / 2
        x = x + (after.phase - now.phase) * slope
        tell(Progress(step, len(grid) - 1, now.time, x0))
    return x


def dpmpp_2m(
    denoise: Denoise,
    path: Path,
    x: Tensor,
    times: Tensor,
    *,
    generator: Generators | None = None,
    callback: Callback | None = None,
) -> Tensor:
    """DPM-Solver++(2M) (arXiv 2211.01095, algorithm 2): x0 is extrapolated in the half log-SNR.

    The first step and a step to sigma = 0 are of first order.
    """
    grid, tell = knots(path, times), callback or _silent
    before: Evaluation | None = None
    for step, (now, after) in enumerate(pairwise(grid), start=1):
        seen = Evaluation(now, denoise(x, now.batch(x)))
        x = exponential_step(now, after, x, extrapolated(before, seen, after))
        before = seen
        tell(Progress(step, len(grid) - 1, now.time, seen.x0))
    return x


def unipc(
    denoise: Denoise,
    path: Path,
    x: Tensor,
    times: Tensor,
    *,
    generator: Generators | None = None,
    callback: Callback | None = None,
) -> Tensor:
    """UniPC-2 with B2(h), predicting data (arXiv 2302.04867, algorithms 1 and 2).

    The predictor is DPM-Solver++(2M)'s step. Once its end has been evaluated, the step is taken again with
    that estimate as well, at no further evaluation. A step to sigma = 0 is of first order and not corrected.
    """
    grid, tell = knots(path, times), callback or _silent
    older: Evaluation | None = None
    last: Evaluation | None = None
    start = x  # the corrected state at the last knot
    for step, (now, after) in enumerate(pairwise(grid), start=1):
        seen = Evaluation(now, denoise(x, now.batch(x)))
        if last is not None:
            x = exponential_step(last.knot, now, start, corrected(older, last, seen))
        start, x = x, exponential_step(now, after, x, extrapolated(last, seen, after))
        older, last = last, seen
        tell(Progress(step, len(grid) - 1, now.time, seen.x0))
    return x


SAMPLERS: dict[str, Sampler] = {
    "ddim": ddim,
    "ancestral": ancestral,
    "euler": euler,
    "heun": heun,
    "dpmpp_2m": dpmpp_2m,
    "unipc": unipc,
}


def sampler_named(name: str) -> Sampler:
    """The sampler with this name.

    Raises:
        RequestError: if there is none; the sentence gives the nearest name.
    """
    if name not in SAMPLERS:
        raise RequestError(unknown_name("sampler", name, SAMPLERS))
    return SAMPLERS[name]


def evaluations(name: str, steps: int) -> int:
    """How often the named sampler calls the denoiser for `steps` steps that end at t = 0.

    Raises:
        RequestError: if there is no such sampler.
    """
    return 2 * steps - 1 if sampler_named(name) is heun else steps
