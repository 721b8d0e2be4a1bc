"""Random choices of a scene, the same on every machine."""

from __future__ import annotations

import numpy as np

SEED = 48016  # of all scenes; another one is other scenes


def draws(number: int, part: int = 0) -> np.random.Generator:
    """The random numbers of a scene, or of one part of it."""
    return np.random.Generator(np.random.PCG64([SEED, number, part]))
