"""Figures of variants over the same seeds, with the difference of each variant from the first one."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from statistics import fmean, stdev

from scipy.stats import t as student


def cell(values: Sequence[float], first: Sequence[float]) -> str:
    """The mean over seeds, and the mean difference from the first variant with its 95 % interval.

    Args:
        values: of a variant, one for each seed.
        first: of the first variant, for the same seeds; the same object for that variant itself.
    """
    if values is first:
        return f"{fmean(values):.3f}"
    differences = [own - other for own, other in zip(values, first, strict=True)]
    mean = f"{fmean(values):.3f} ({fmean(differences):+.3f}"
    if len(differences) < 2:
        return f"{mean})"
    return f"{mean} ± {half_width(differences):.3f})"


def half_width(values: Sequence[float]) -> float:
    """Half of the 95 % interval of the mean of normally distributed values (Student's t)."""
    return float(student.ppf(0.975, len(values) - 1)) * stdev(values) / sqrt(len(values))
