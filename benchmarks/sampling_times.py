"""Sampling times on the variance-preserving path: relative error of the result for several grids, in double precision.

    python benchmarks/sampling_times.py [EVALUATIONS] [SCHEDULE]

Data are known exactly: a mixture of N(-0.9, 0.3^2) and N(0.9, 0.3^2), whose reference is Heun's method with 600 steps,
and N(0, 0.3^2), whose probability-flow ODE has a closed solution. The error is the root mean square over 6,144 numbers,
divided by that of the reference.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import torch
from torch import Tensor

from ddmi_core.diffusion.paths import VariancePreserving
from ddmi_core.diffusion.samplers import Denoise, sampler_named

DEVIATION, MODE = 0.3, 0.9
EXPONENTS = (1, 1.25, 1.5, 2, 3)
ROWS = [("dpmpp_2m", "mixture"), ("unipc", "mixture"), ("heun", "mixture"), ("euler", "mixture"), ("ddim", "mixture")]
ROWS += [("dpmpp_2m", "normal"), ("heun", "normal"), ("ddim", "normal")]


def denoiser(path: VariancePreserving, mode: float) -> Denoise:
    """`E[x0 | x]` for two modes at plus and minus `mode`; one normal distribution with mode 0."""

    def denoise(x: Tensor, t: Tensor) -> Tensor:
        alpha, sigma = path.alpha(t)[:, None], path.sigma(t)[:, None]
        variance = (DEVIATION * alpha) ** 2 + sigma**2
        side = torch.tanh(mode * alpha * x / variance)
        return mode * side + DEVIATION**2 * alpha / variance * (x - mode * alpha * side)

    return denoise


def grids(path: VariancePreserving, steps: int) -> dict[str, Tensor]:
    """Times from 1 to 0: equal steps in t, EDM's spacing of the phase, equal steps in the half log-SNR, Karras'."""
    ends = torch.tensor([1, 1 / path.steps], dtype=torch.float64)

    def spaced(value: Callable[[Tensor], Tensor], time: Callable[[Tensor], Tensor], exponent: float) -> Tensor:
        first, last = value(ends).pow(1 / exponent).tolist()
        values = torch.linspace(first, last, steps, dtype=torch.float64).pow(exponent)
        return torch.cat([ends[:1], time(values)[1:], ends.new_zeros(1)])

    ratio = spaced(lambda t: path.sigma(t) / path.alpha(t), lambda s: path.time_of(-s.log()), 7)
    low, high = path.half_log_snr(ends).tolist()
    half_log_snr = path.time_of(torch.linspace(low, high, steps, dtype=torch.float64))
    phases = {f"phase, {r}": spaced(path.phase, lambda u: path.time_of(-u.tan().log()), r) for r in EXPONENTS}
    return {
        "equal in t": torch.linspace(1, 0, steps + 1, dtype=torch.float64),
        **phases,
        "half log-SNR": torch.cat([ends[:1], half_log_snr[1:], ends.new_zeros(1)]),
        "Karras": ratio,
    }


def main(evaluations: int, schedule: str) -> None:
    """Print the errors of all samplers and grids."""
    path = VariancePreserving(schedule=schedule)
    x = torch.randn(2048, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    end = torch.ones(1, dtype=torch.float64)
    spread = torch.sqrt((path.alpha(end) * DEVIATION) ** 2 + path.sigma(end) ** 2)
    denoisers = {"mixture": denoiser(path, MODE), "normal": denoiser(path, 0)}
    references = {
        "mixture": sampler_named("heun")(denoisers["mixture"], path, x, path.times(600)),
        "normal": DEVIATION * x / spread,
    }
    print(f"{schedule}, {evaluations} evaluations".ljust(30), *(f"{name:>12}" for name in grids(path, 2)))
    for sampler, data in ROWS:
        steps = evaluations // 2 if sampler == "heun" else evaluations
        reference, errors = references[data], []
        for times in grids(path, steps).values():
            error = sampler_named(sampler)(denoisers[data], path, x, times) - reference
            errors.append(float(error.square().mean().sqrt() / reference.square().mean().sqrt()))
        print(f"{sampler}, {data}".ljust(30), *(f"{error:12.4f}" for error in errors))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 16, sys.argv[2] if len(sys.argv) > 2 else "scaled_linear")
