"""Random choices of signals made by formulas, the same on every machine. Other choices would be other data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")


def pick(draw: np.random.Generator, choices: Sequence[T], shares: Sequence[float] = ()) -> T:
    """One of the choices, with equal or given shares."""
    ends = np.cumsum(shares or [1.0] * len(choices))
    return choices[int(np.searchsorted(ends, draw.random() * ends[-1], side="right"))]


def between(draw: np.random.Generator, low: float, high: float) -> float:
    """A number from low to high."""
    return low + (high - low) * float(draw.random())


def chance(draw: np.random.Generator, share: float) -> bool:
    """True in a share of the draws."""
    return bool(draw.random() < share)
