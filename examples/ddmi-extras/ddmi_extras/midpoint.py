"""The midpoint method on the probability-flow ODE."""

from __future__ import annotations

from torch import Tensor

from ddmi_core.diffusion import Denoise, Generators, Grid, Sampler, Steps


@Sampler
def midpoint(denoise: Denoise, x: Tensor, grid: Grid, generator: Generators | None) -> Steps:
    """Runge-Kutta of second order over pairs of steps: an Euler step to the middle, whose slope then counts.

    The middle step may be at any share of the pair (Butcher's one-parameter family). A last step without a partner
    is an Euler step.
    """
    for start in range(0, len(grid) - 1, 2):
        first, *rest = grid[start : start + 3]
        x0 = denoise(x, first.batch(x))
        slope = first.velocity(x, x0)
        ahead = x + (rest[0].phase - first.phase) * slope
        yield ahead, x0
        if len(rest) == 1:
            return
        middle, last = rest
        x0 = denoise(ahead, middle.batch(x))
        share = 0.5 * (last.phase - first.phase) / (middle.phase - first.phase)
        x = x + (last.phase - first.phase) * ((1 - share) * slope + share * middle.velocity(ahead, x0))
        yield x, x0
