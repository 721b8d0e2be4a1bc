"""Where the cameras of a car stand, and what they see, with smooth borders."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from ddmi_nerf.cameras import Camera
from ddmi_nerf.cars.tracing import Model

DISTANCE = 2.6  # from the origin, as in SRN Cars
ELEVATIONS = (-10.0, 75.0)  # degrees, from a little below the horizon
FINER = 3  # rays along each side of a pixel

Pixels = npt.NDArray[np.uint8]

# Multiples of these numbers, modulo 1, fill the square evenly, however many they are (R. Roberts, 2018).
_STEPS = np.array([0.7548776662466927, 0.5698402909980532])


def cameras(count: int, size: int, draw: np.random.Generator) -> list[Camera]:
    """Cameras around the cube, spread evenly over the sphere between two elevations.

    The first ones of them are spread evenly too, and more of them begin with the same ones.

    Args:
        count: number of cameras.
        size: pixels along each side.
        draw: source of randomness.
    """
    places = np.mod(draw.random(2) + np.arange(1, count + 1)[:, None] * _STEPS, 1)
    low, high = (math.sin(math.radians(elevation)) for elevation in ELEVATIONS)
    elevations = np.degrees(np.arcsin(low + (high - low) * places[:, 1]))
    return [
        Camera.orbit(360 * turn, elevation, DISTANCE, width=size, height=size)
        for turn, elevation in zip(places[:, 0], elevations, strict=True)
    ]


def picture(model: Model, camera: Camera) -> Pixels:
    """What a camera sees: `(H, W, 4)`, colours as if over black, and opacity, each the mean over the pixel."""
    finer = camera.resized(FINER * camera.width, FINER * camera.height)
    hits = model.trace(finer.origin, finer.directions().astype(np.float32))
    values = np.concatenate([hits.colour, hits.opacity[:, None]], axis=1)
    rows = values.reshape(camera.height, FINER, -1).sum(axis=1)
    sums = rows.reshape(camera.height, camera.width, FINER, 4).sum(axis=2)
    result: Pixels = np.rint(sums * (255 / FINER**2)).astype(np.uint8)
    return result
