"""Average velocities over intervals of times, for samples in one to four steps: intervals and targets of training."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ddmi_core.diffusion.paths import Path

SHORTEST = 1 / 32  # half an interval; over shorter halves, the velocity at their start is the average
_HALVINGS = 5  # of the whole time; the shortest intervals are as long as two of the shortest halves, or longer

Velocity = Callable[[Tensor, Tensor], Tensor]  # x (B, L), start and end of intervals (B, 2) -> average velocity (B, L)


def draw_intervals(n: int, generator: torch.Generator | None) -> Tensor:
    """Random start and end of intervals in [0, 1], start above end: `(n, 2)`, float32, on the CPU.

    A sixth of them are the whole time, of one sampling step. The logarithms of the lengths of the others are uniform
    down to 1/32, as in shortcut models (arXiv 2410.12557, section 3), and their places are uniform.
    """
    halvings, place = torch.rand(2, n, generator=generator).unbind()
    length = 2.0 ** -((_HALVINGS + 1) * halvings - 1).clamp(min=0)
    end = place * (1 - length)
    return torch.stack([(end + length).clamp(max=1), end], dim=1)


def of_halves(velocity: Velocity, path: Path, x: Tensor, intervals: Tensor) -> Tensor:
    """The average velocity over intervals from those over their halves: `(B, L)`.

    The average velocity over an interval is the difference of the states at its ends, divided by that of the phases. It
    satisfies `(u - w) a(u, w) = (u - m) a(u, m) + (m - w) a(m, w)` with the second average at the state at m
    (MeanFlow, arXiv 2505.13447, section 4.1; shortcut models, arXiv 2410.12557, equation 3, have equal halves). Unlike
    the derivative of this identity, it takes no forward differentiation, so it is the same with compiled, recomputed
    and divided networks, and in every precision.

    Args:
        velocity: average velocity; that at one time, for intervals of length 0.
        path: gives phases.
        x: `(B, L)`, states at the starts.
        intervals: `(B, 2)`, start and end, of a length above 0.
    """
    start, end = intervals.unbind(dim=1)
    middle = (start + end) / 2
    short = start - middle < SHORTEST
    before, after = path.phase(start) - path.phase(middle), path.phase(middle) - path.phase(end)
    first = velocity(x, torch.stack([start, torch.where(short, start, middle)], dim=1))
    way = before[:, None] * first
    second = velocity(x - way, torch.stack([middle, torch.where(short, middle, end)], dim=1))
    return (way + after[:, None] * second) / (before + after)[:, None]
