"""Car parameters and paint colours, drawn reproducibly from a car's number."""

from __future__ import annotations

import numpy as np
from attrs import field, frozen, validators

from ddmi_core.parts import between, chance, pick
from ddmi_nerf.data.cars.tracing import Colour

COLOURS: dict[str, Colour] = {
    "red": (0.82, 0.12, 0.12),
    "orange": (0.95, 0.5, 0.1),
    "yellow": (0.97, 0.82, 0.15),
    "green": (0.15, 0.55, 0.24),
    "turquoise": (0.2, 0.7, 0.7),
    "blue": (0.15, 0.3, 0.8),
    "purple": (0.5, 0.22, 0.62),
    "pink": (0.95, 0.55, 0.7),
    "brown": (0.42, 0.26, 0.15),
    "white": (0.93, 0.93, 0.92),
    "grey": (0.55, 0.57, 0.6),
    "black": (0.13, 0.13, 0.15),
}
SHARES = (0.14, 0.08, 0.1, 0.1, 0.07, 0.14, 0.06, 0.05, 0.05, 0.08, 0.07, 0.06)

GLASS: Colour = (0.2, 0.27, 0.34)
TYRE: Colour = (0.09, 0.09, 0.1)
ARCH: Colour = (0.05, 0.05, 0.06)
RIM: Colour = (0.75, 0.76, 0.78)
TRIM: Colour = (0.22, 0.22, 0.24)
LAMP: Colour = (0.98, 0.96, 0.8)
TAIL_LAMP: Colour = (0.85, 0.05, 0.08)
PLATE: Colour = (0.96, 0.96, 0.9)

SEED = 30142  # of all cars; changing it changes the data set
KINDS = ("sedan", "hatchback", "sports car", "jeep", "van", "pick-up", "truck", "bus")
KIND_SHARES = (0.18, 0.14, 0.15, 0.13, 0.12, 0.12, 0.08, 0.08)


@frozen
class Measures:
    """Ranges of a kind's dimensions, in metres, each as minimum and maximum."""

    length: tuple[float, float]
    width: tuple[float, float]
    height: tuple[float, float]
    belt: tuple[float, float]  # height of the lower edge of the windows
    wheel: tuple[float, float]  # radius


MEASURES = {
    "sedan": Measures((4.5, 4.9), (1.78, 1.9), (1.4, 1.5), (0.92, 0.98), (0.32, 0.36)),
    "hatchback": Measures((3.6, 4.1), (1.68, 1.8), (1.45, 1.58), (0.92, 1.0), (0.3, 0.34)),
    "sports car": Measures((4.2, 4.6), (1.85, 2.0), (1.12, 1.25), (0.77, 0.84), (0.31, 0.34)),
    "jeep": Measures((3.9, 4.7), (1.8, 2.0), (1.75, 1.95), (1.1, 1.22), (0.4, 0.47)),
    "van": Measures((4.4, 5.2), (1.85, 2.0), (1.95, 2.3), (1.15, 1.3), (0.33, 0.38)),
    "pick-up": Measures((4.9, 5.5), (1.85, 2.0), (1.7, 1.85), (1.05, 1.15), (0.39, 0.45)),
    "truck": Measures((6.4, 7.4), (2.3, 2.5), (2.9, 3.4), (1.5, 1.6), (0.46, 0.52)),
    "bus": Measures((7.5, 9.0), (2.4, 2.6), (2.8, 3.1), (1.25, 1.4), (0.46, 0.52)),
}


@frozen
class Parameters:
    """Parameters of one car; lengths are in metres, and the kind determines which parameters apply."""

    number: int
    kind: str = field(validator=validators.in_(KINDS))
    length: float
    width: float
    height: float
    belt: float
    wheel: float
    colour: str = field(validator=validators.in_(COLOURS))
    second: str = field(validator=validators.in_(COLOURS))  # of the cabin, or of the box of a truck
    stripe: str = field(validator=validators.in_(("", *COLOURS)))  # empty for none
    spoiler: bool
    rack: bool  # bars on the roof
    spare: bool  # a wheel on the back door
    windows: bool  # of a van, behind the front doors
    shade: float  # brightness factor of the body's colour

    @property
    def name(self) -> str:
        """Kind and number: `pick-up-0042`."""
        return f"{self.kind.replace(' ', '-')}-{self.number:04d}"

    @property
    def paint(self) -> Colour:
        """Colour of the body."""
        red, green, blue = (self.shade * part for part in COLOURS[self.colour])
        return (red, green, blue)

    @property
    def second_paint(self) -> Colour:
        """Colour of the cabin, or of the box of a truck."""
        return self.paint if self.second == self.colour else COLOURS[self.second]

    @property
    def key(self) -> str:
        """Attributes that make cars hard to tell apart; cars with equal keys are on the same side of a split."""
        extras = (self.spoiler, self.rack, self.spare, self.windows)
        return "/".join(map(str, (self.kind, self.colour, self.second, self.stripe, *extras)))


def parameters(number: int) -> Parameters:
    """Parameters of the car with a given number, 0 or more."""
    draw = np.random.Generator(np.random.PCG64([SEED, number]))
    kind = pick(draw, KINDS, KIND_SHARES)
    measures = MEASURES[kind]
    colour = pick(draw, tuple(COLOURS), SHARES)
    others = tuple(name for name in COLOURS if name != colour)
    contrast = tuple(name for name in ("white", "black", "yellow", "red") if name != colour)
    striped = chance(draw, {"sports car": 0.4, "bus": 0.5, "van": 0.35}.get(kind, 0.0))
    two_coloured = chance(draw, {"truck": 0.8, "sports car": 0.15, "bus": 0.2}.get(kind, 0.35))
    return Parameters(
        number=number,
        kind=kind,
        length=between(draw, *measures.length),
        width=between(draw, *measures.width),
        height=between(draw, *measures.height),
        belt=between(draw, *measures.belt),
        wheel=between(draw, *measures.wheel),
        colour=colour,
        second=pick(draw, others if kind == "truck" else contrast) if two_coloured else colour,
        stripe=pick(draw, contrast) if striped else "",
        spoiler=chance(draw, {"sports car": 0.5}.get(kind, 0.0)),
        rack=chance(draw, {"jeep": 0.4, "hatchback": 0.2, "van": 0.2}.get(kind, 0.0)),
        spare=chance(draw, {"jeep": 0.5}.get(kind, 0.0)),
        windows=chance(draw, 0.5) if kind == "van" else True,
        shade=between(draw, 0.88, 1.0),
    )
