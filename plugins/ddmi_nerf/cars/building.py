"""From the parameters of a car to its model in the cube."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from attrs import evolve

from ddmi_nerf.cars.carriers import bus, pick_up, truck
from ddmi_nerf.cars.parameters import Parameters
from ddmi_nerf.cars.passenger import SHAPES, passenger
from ddmi_nerf.cars.tracing import Model, Part

EXTENT = 0.9  # half of the length of every car
SPARE, RACK, MIRRORS = 0.22, 0.13, 0.31  # metres behind the car, above it, and at each side

BUILDERS: dict[str, Callable[[Parameters], list[Part]]] = {
    **dict.fromkeys(SHAPES, passenger),
    "pick-up": pick_up,
    "truck": truck,
    "bus": bus,
}


def build(car: Parameters) -> Model:
    """A car as a model: it goes from x = -0.9 to its front at x = 0.9, and the origin is its middle."""
    size = np.array([car.length + SPARE * car.spare, car.width + 2 * MIRRORS, car.height + RACK * car.rack])
    factor = 2 * EXTENT / size[0]
    move = np.array([SPARE * car.spare / 2, 0.0, -size[2] / 2])
    parts = [
        Part(
            part.solid.scaled(factor, move),
            part.colour,
            tuple(evolve(paint, where=paint.where.scaled(factor, move)) for paint in part.paints),
        )
        for part in BUILDERS[car.kind](car)
    ]
    return Model(tuple(parts), size / 2 * factor + 1e-3)
