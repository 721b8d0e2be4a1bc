"""Means over seeds, and differences between arms with the same seeds, with 95 % intervals (Student's t)."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log, nan, sqrt
from statistics import fmean, stdev

from attrs import frozen
from scipy.stats import t as student


@frozen
class Estimate:
    """A mean over seeds.

    Args:
        mean: the mean.
        half: half of its 95 % interval; NaN for a single seed.
    """

    mean: float
    half: float


def estimate(values: Sequence[float]) -> Estimate:
    """The mean of normally distributed values, one for each seed."""
    if len(values) < 2:
        return Estimate(fmean(values), nan)
    return Estimate(fmean(values), float(student.ppf(0.975, len(values) - 1)) * stdev(values) / sqrt(len(values)))


def difference(values: Sequence[float], first: Sequence[float]) -> Estimate:
    """The mean difference of an arm from the first one; both have the same seeds in the same order."""
    return estimate([own - other for own, other in zip(values, first, strict=True)])


def ratio(values: Sequence[float], first: Sequence[float]) -> tuple[float, float, float] | None:
    """The geometric mean of an arm's ratios to the first one, and the ends of its 95 % interval.

    `None` if a value is not positive, as an unbiased distance may be. The ends are NaN for a single seed.
    """
    if min(*values, *first) <= 0:
        return None
    logs = estimate([log(own / other) for own, other in zip(values, first, strict=True)])
    return exp(logs.mean), exp(logs.mean - logs.half), exp(logs.mean + logs.half)


def cell(values: Sequence[float], first: Sequence[float]) -> str:
    """The mean of an arm, and its mean difference from the first arm with the interval.

    Args:
        values: of an arm, one for each seed.
        first: of the first arm, for the same seeds; the same object for that arm itself.
    """
    if values is first:
        return f"{fmean(values):.3f}"
    found = difference(values, first)
    spread = "" if len(values) < 2 else f" ± {found.half:.3f}"
    return f"{fmean(values):.3f} ({found.mean:+.3f}{spread})"
