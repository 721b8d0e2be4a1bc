"""Accuracy of the measured kind and colour on cars rendered as media: `python examples/measured_cars.py [COUNT]`.

It gives the figure "right on true cars", which accompanies prompt adherence in the metrics of radiance fields.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from ddmi_nerf.car_attributes import Attributes, measure
from ddmi_nerf.cars import Car, car
from ddmi_nerf.cars.tracing import light
from ddmi_nerf.scene import Scene

OPAQUE = 90.0  # density
CELLS = 24  # along each side of the occupancy grid


def main(count: int = 200) -> None:
    """Measure the first cars, and print how many results are right."""
    kinds = colours = 0
    for number in range(count):
        one = car(number)
        found = measured(one)
        kinds += found.kind == one.kind
        colours += found.colour == one.parameters.colour
    print(f"kind {kinds} of {count}, colour {colours} of {count}")


def measured(one: Car) -> Attributes:
    """Kind and colour of a car, measured from views of the car as a medium."""
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
