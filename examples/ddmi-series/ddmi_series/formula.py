"""Water levels by formulas, measured at irregular times by gauges that fail now and then."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

KINDS = ("calm", "storm")
PERIODS = (12.42, 24.0, 5.7)  # hours
HEIGHTS = (0.45, 0.15, 0.08)  # of the tides
RATE = 3.0  # measurements per hour, on average
FAILURE = (3.0, 9.0)  # hours that a failure lasts

Array = npt.NDArray[np.floating[Any]]


def level(number: int, hours: Array, duration: float) -> Array:
    """Water level in [-1, 1] at times from 0 to `duration` hours: tides, and a surge in a storm."""
    draw = np.random.default_rng((number, 0))
    found = np.zeros_like(hours)
    for period, height in zip(PERIODS, HEIGHTS, strict=True):
        found += height * draw.uniform(0.5, 1.2) * np.sin(2 * np.pi * (hours / period + draw.uniform()))
    if KINDS[number % len(KINDS)] == "storm":
        begin, rise, fall = draw.uniform(0.1, 0.7) * duration, draw.uniform(1, 3), draw.uniform(4, 9)
        after = (hours - begin).clip(0)
        found += draw.uniform(0.5, 0.9) * (1 - np.exp(-after / rise)) * np.exp(-after / fall) * 2
    return np.tanh(found)


def measured(number: int, duration: float) -> tuple[Array, Array]:
    """Increasing times in hours, and the levels at these times; a different number for each signal."""
    draw = np.random.default_rng((number, 1))
    hours = np.sort(draw.uniform(0, duration, draw.poisson(RATE * duration)))
    for _ in range(draw.integers(1, 4)):
        begin = draw.uniform(0, duration)
        hours = hours[(hours < begin) | (hours > begin + draw.uniform(*FAILURE))]
    return hours, level(number, hours, duration)
