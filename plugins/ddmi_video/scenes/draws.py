"""Random choices of a scene, the same on every machine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")

SEED = 48016  # of all scenes; another one is other scenes


def draws(number: int, part: int = 0) -> np.random.Generator:
    """The random numbers of a scene, or of one part of it."""
    return np.random.Generator(np.random.PCG64([SEED, number, part]))


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
