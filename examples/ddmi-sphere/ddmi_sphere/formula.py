"""Temperatures by formulas of the place in space, so that they are smooth everywhere on the sphere."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

KINDS = ("mild", "cold")  # what is on the small side of the front
WAVES = 14  # smooth anomalies of each size
SIZES = ((3.0, 0.35), (12.0, 0.25))  # concentration on the sphere, and amplitude, of the anomalies
WIDTH = 0.07  # half the width of a front, in radii of the sphere

Array = npt.NDArray[np.floating[Any]]


def places(size: tuple[int, int]) -> Array:
    """Cell centres of a grid over latitude and longitude on the unit sphere, `(rows, columns, 3)`."""
    lat, lon = (((2 * np.arange(n) + 1) / n - 1) * turn for n, turn in zip(size, (np.pi / 2, np.pi), strict=True))
    ring = np.cos(lat)[:, None]
    return np.stack([ring * np.cos(lon), ring * np.sin(lon), np.sin(lat)[:, None] + 0 * lon], axis=-1)


def temperature(number: int, size: tuple[int, int]) -> Array:
    """The anomaly of temperature of a number on a grid, `(rows, columns)`, in [-1, 1].

    Smooth variations of two sizes, and a front: the wavy border of a mild or cold air mass somewhere on the sphere. All
    are functions of x, y and z with random directions, so that no longitude and no latitude is special.
    """
    draw = np.random.default_rng(number)
    place = places(size)
    found = np.zeros(size)
    for concentration, amplitude in SIZES:
        for strength in draw.normal(size=WAVES) * amplitude:
            found += strength * np.exp(concentration * (place @ _direction(draw) - 1))
    centre, across = _direction(draw), _direction(draw)
    outline = 0.2 * np.sin(4 * place @ across + draw.uniform(0, 2 * np.pi))
    side = -0.4 if KINDS[number % len(KINDS)] == "cold" else 0.4
    found += side * (1 + np.tanh((place @ centre - draw.uniform(0.2, 0.6) + outline) / WIDTH))
    bounded: Array = np.tanh(found)
    return bounded


def _direction(draw: np.random.Generator) -> Array:
    vector = draw.normal(size=3)
    unit: Array = vector / np.linalg.norm(vector)
    return unit
