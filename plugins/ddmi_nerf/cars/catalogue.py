"""Cars by number or name."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import numpy.typing as npt
from attrs import define

from ddmi_core.errors import DataError
from ddmi_nerf.cars.building import build
from ddmi_nerf.cars.captions import captions
from ddmi_nerf.cars.parameters import KINDS, Parameters, parameters
from ddmi_nerf.cars.solids import Array
from ddmi_nerf.cars.tracing import Hits, Model


@define(eq=False, slots=False)
class Car:
    """A car in the cube [-1, 1]^3, its front at +x, z up; its radiance and its surface are known exactly."""

    parameters: Parameters

    @property
    def name(self) -> str:
        """Kind and number, `pick-up-0042`; `car` takes it."""
        return self.parameters.name

    @property
    def kind(self) -> str:
        """The class."""
        return self.parameters.kind

    @property
    def captions(self) -> tuple[str, ...]:
        """Sentences, each word of which is true; the first names the class alone."""
        return captions(self.parameters)

    @cached_property
    def model(self) -> Model:
        """Its coloured solids."""
        return build(self.parameters)

    def trace(self, origins: npt.ArrayLike, directions: npt.ArrayLike) -> Hits:
        """What rays see: see `Model.trace`."""
        return self.model.trace(origins, directions)

    def surface(self, n: int, draw: np.random.Generator) -> tuple[Array, Array, Array]:
        """Points, colours and normals of what can be seen of it: see `Model.surface`."""
        return self.model.surface(n, draw)


def car(which: int | str) -> Car:
    """The car of a number or a name.

    Args:
        which: a whole number from 0 up, or a car's name, as signals of the data set have it.

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
        raise DataError(f"there is no car '{which}'; names are like '{car(0).name}', a kind and a number")
    if which < 0:
        raise DataError(f"there is no car of number {which}; numbers start at 0")
    return Car(parameters(which))
