"""Cars by number or name: exact geometry and radiance, and captions."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from itertools import combinations

import numpy as np
import numpy.typing as npt
from attrs import define, evolve

from ddmi_core.errors import DataError
from ddmi_nerf.data.cars.parameters import KINDS, Parameters, parameters
from ddmi_nerf.data.cars.passenger_cars import SHAPES, passenger
from ddmi_nerf.data.cars.solids import Array
from ddmi_nerf.data.cars.tracing import Hits, Model, Part
from ddmi_nerf.data.cars.trucks import bus, pick_up, truck

EXTENT = 0.9  # half the length of every car in the cube
SPARE, RACK, MIRRORS = 0.22, 0.13, 0.31  # metres behind the car, above it, and on each side
BUILDERS: dict[str, Callable[[Parameters], list[Part]]] = {
    **dict.fromkeys(SHAPES, passenger),
    "pick-up": pick_up,
    "truck": truck,
    "bus": bus,
}


@define(eq=False, slots=False)
class Car:
    """A car in the cube [-1, 1]^3 with its front at +x and z up, with exact radiance and surface."""

    parameters: Parameters

    @property
    def name(self) -> str:
        """Kind and number, such as `pick-up-0042`; `car` accepts it."""
        return self.parameters.name

    @property
    def kind(self) -> str:
        """The kind, which is the class."""
        return self.parameters.kind

    @property
    def captions(self) -> tuple[str, ...]:
        """Captions; the first names the kind only."""
        return captions(self.parameters)

    @cached_property
    def model(self) -> Model:
        """The coloured solids."""
        return build(self.parameters)

    def trace(self, origins: npt.ArrayLike, directions: npt.ArrayLike) -> Hits:
        """Intersect rays with the car, see `Model.trace`."""
        return self.model.trace(origins, directions)

    def surface(self, n: int, draw: np.random.Generator) -> tuple[Array, Array, Array]:
        """Random visible surface points, their colours and normals, see `Model.surface`."""
        return self.model.surface(n, draw)


def car(which: int | str) -> Car:
    """The car with a given number or name.

    Args:
        which: a number, 0 or more, or the name of a car in the data set.

    Raises:
        DataError: if there is no such car.

    Example:
        >>> car(car(3).name).parameters == car(3).parameters
        True
    """
    if isinstance(which, str):
        kind, _, number = which.rpartition("-")
        if kind in {known.replace(" ", "-") for known in KINDS} and number.isdecimal():
            found = Car(parameters(int(number)))
            if found.name == which:
                return found
        raise DataError(f"unknown car '{which}'; a name is a kind and a number, such as '{car(0).name}'")
    if which < 0:
        raise DataError(f"unknown car number {which}; numbers start at 0")
    return Car(parameters(which))


def build(car: Parameters) -> Model:
    """Build the model of a car: its front is at x = 0.9, its rear at x = -0.9, and its centre at the origin."""
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


def captions(car: Parameters) -> tuple[str, ...]:
    """Different captions of a car, from its kind only to all its attributes."""
    plain, coloured = f"a {car.kind}", f"{_article(car.colour)} {car.colour} {car.kind}"
    found = [plain, coloured]
    details = features(car)
    for count in range(1, len(details) + 1):
        for chosen in combinations(details, count):
            found.append(f"{coloured} with {_listed(chosen)}")
    return tuple(found)


def features(car: Parameters) -> list[str]:
    """Phrases for all attributes of a car except its colour and kind, to follow `with`."""
    found = []
    if car.second != car.colour:
        what = {"truck": "box", "bus": "roof"}.get(car.kind, "cabin")
        found.append(f"{_article(car.second)} {car.second} {what}")
    if car.stripe:
        found.append(f"{_article(car.stripe)} {car.stripe} stripe")
    found += ["a spoiler"] * car.spoiler + ["a roof rack"] * car.rack + ["a spare wheel at the back"] * car.spare
    if not car.windows:
        found.append("closed sides")
    return found


def _listed(parts: tuple[str, ...]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _article(word: str) -> str:
    return "an" if word[0] in "aeiou" else "a"
