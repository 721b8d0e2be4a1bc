"""Time-step grid of a path, and the exponential-integrator steps that samplers are made of."""

from __future__ import annotations

from math import expm1, inf

import torch
from attrs import frozen
from torch import Tensor

from ddmi_core.diffusion.paths import Path


@frozen
class Timestep:
    """Coefficients of the path at one time of the grid, in double precision."""

    time: float
    alpha: float
    sigma: float
    half_log_snr: float  # infinite where alpha or sigma is 0
    phase: float
    sigma_slope: float  # derivative of sigma in the phase

    def batch(self, x: Tensor) -> Tensor:
        """The time, once per row of x `(B, L)`: `(B,)`."""
        return x.new_full((len(x),), self.time)

    def velocity(self, x: Tensor, x0: Tensor) -> Tensor:
        """Derivative of x `(B, L)` in the phase on the probability-flow ODE; needs sigma > 0.

        With alpha = 1 it is EDM's `(x - x0) / sigma` (arXiv 2206.00364, equation 3).
        """
        return (self.sigma_slope * x - x0) / self.sigma


@frozen(eq=False)
class Evaluation:
    """The denoiser's estimate at one time step."""

    timestep: Timestep
    x0: Tensor  # (B, L)


def timestep_grid(path: Path, times: Tensor) -> list[Timestep]:
    """Coefficients of the path at times `(steps + 1,)`.

    Raises:
        ValueError: if there are fewer than two times, or they do not decrease.
    """
    t = times.detach().to("cpu", torch.float64)
    if len(t) < 2 or not bool((t.diff() < 0).all()):
        raise ValueError(f"invalid sampling times {t.tolist()}: need two or more, strictly decreasing")
    columns = [t, path.alpha(t), path.sigma(t), path.half_log_snr(t), path.phase(t), path.phase_rates(t)[1]]
    return [Timestep(*row) for row in torch.stack(columns, dim=1).tolist()]


def exponential_step(now: Timestep, after: Timestep, x: Tensor, x0: Tensor) -> Tensor:
    """Solve the probability-flow ODE exactly for a constant x0, from alpha >= 0 to sigma >= 0.

    DPM-Solver++ (arXiv 2211.01095), proposition 4.1 with `alpha (1 - exp(-h))` written without h.
    """
    ratio = after.sigma / now.sigma
    return ratio * x + (after.alpha - now.alpha * ratio) * x0


def extrapolated(before: Evaluation | None, now: Evaluation, after: Timestep) -> Tensor:
    """Constant x0 of a second-order step to `after`, extrapolated from the last two evaluations.

    DPM-Solver++(2M) (arXiv 2211.01095), algorithm 2. The first step and a step to sigma = 0 are of first
    order.
    """
    if before is None or after.half_log_snr == inf:
        return now.x0
    h = after.half_log_snr - now.timestep.half_log_snr
    h_last = now.timestep.half_log_snr - before.timestep.half_log_snr  # infinite from alpha = 0: the correction is zero
    return now.x0 + h / (2 * h_last) * (now.x0 - before.x0)


def corrected(before: Evaluation | None, now: Evaluation, after: Evaluation) -> Tensor:
    """Constant x0 of a third-order step to `after`, where the denoiser has been evaluated.

    UniC-2 with B2(h) for data prediction (arXiv 2302.04867, algorithm 1, with the weights of theorem 3.1).
    The first step takes the weight 1/2 of UniC-1.
    """
    if before is None:
        return (now.x0 + after.x0) / 2
    h = after.timestep.half_log_snr - now.timestep.half_log_snr
    r = (before.timestep.half_log_snr - now.timestep.half_log_snr) / h
    phi_1 = expm1(-h) / -h - 1
    phi_2 = phi_1 / -h - 1 / 2
    weight_before = (phi_1 - 2 * phi_2) / expm1(-h) / (1 - r)
    weight_after = phi_1 / expm1(-h) - weight_before
    return now.x0 + weight_before / r * (before.x0 - now.x0) + weight_after * (after.x0 - now.x0)
