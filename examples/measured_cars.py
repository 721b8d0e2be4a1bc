"""Accuracy of the measured attributes on exact cars: `python examples/measured_cars.py [COUNT [FIRST]]`.

It gives the figures "right on true cars", which accompany prompt adherence in the metrics of radiance fields.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
import torch
from attrs import fields
from torch import Tensor

from ddmi_nerf.data.cars import Car, car
from ddmi_nerf.data.cars.parameters import Parameters
from ddmi_nerf.data.cars.tracing import light
from ddmi_nerf.evaluation.car_attributes import Attributes, measure
from ddmi_nerf.rendering.scene import Scene

OPAQUE = 90.0  # density
CELLS = 24  # along each side of the occupancy grid


KINDS_WITH = {
    "stripe": ("sports car", "van", "bus"),
    "spoiler": ("sports car",),
    "roof_rack": ("jeep", "hatchback", "van"),
    "spare_wheel": ("jeep",),
    "closed_sides": ("van",),
}


def main(count: int = 250, first: int = 400) -> None:
    """Measure cars, and print for each attribute how many results are right, of cars with and without it."""
    print("attribute       with it       without it")
    cars = [car(number) for number in range(first, first + count)]
    pairs = [(true(one.parameters), measured(one)) for one in cars]
    for field in fields(Attributes):
        rows = [
            (getattr(wanted, field.name), getattr(found, field.name))
            for wanted, found in pairs
            if wanted.kind in KINDS_WITH.get(field.name, (wanted.kind,))
        ]
        having, lacking = ([a == b for a, b in rows if bool(a) == has] for has in (True, False))
        print(
            f"{field.name:14}  {sum(having):3} of {len(having):3}    {sum(lacking):3} of {len(lacking):3}", flush=True
        )


def true(car: Parameters) -> Attributes:
    """Attributes of a car by its parameters."""
    return Attributes(
        kind=car.kind,
        colour=car.colour,
        second_colour=car.second if car.second != car.colour else "",
        stripe=car.stripe,
        spoiler=car.spoiler,
        roof_rack=car.rack,
        spare_wheel=car.spare,
        closed_sides=not car.windows,
    )


def measured(one: Car) -> Attributes:
    """Attributes of a car, measured on the car as a medium."""
    return measure(Scene.of(filled(one), torch.ones(3), cells=CELLS))


def filled(one: Car) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    """Density and colour of a car at points; each solid is filled with its own lit colour."""

    def medium(points: Tensor) -> tuple[Tensor, Tensor]:
        at = points.double().numpy().T
        density, colour = np.zeros(at.shape[1]), np.zeros((at.shape[1], 3))
        for part in one.model.parts:
            inside = part.solid.contains(at)
            density[inside] = OPAQUE
            some = at[:, inside]
            colour[inside] = (part.colours(some) * light(part.solid.normals(some))).T
        return torch.from_numpy(density).float(), torch.from_numpy(2 * colour - 1).float()

    return medium


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(*map(int, sys.argv[1:]))
