"""Passenger cars (sedans, hatchbacks, sports cars, jeeps and vans): a body and a cabin, in metres."""

from __future__ import annotations

from attrs import frozen

from ddmi_nerf.data.cars import fittings
from ddmi_nerf.data.cars.fittings import FAR
from ddmi_nerf.data.cars.parameters import COLOURS, TRIM, Parameters
from ddmi_nerf.data.cars.solids import bevelled, block, flanks, profile
from ddmi_nerf.data.cars.tracing import Paint, Part

BEVEL = 0.05


@frozen
class Shape:
    """Outline of a kind of car; heights are fractions of the belt's height, positions of half the length."""

    nose: float  # height of the front end of the bonnet
    tail: float  # height of the rear end of the boot
    cowl: float  # position of the foot of the windscreen
    screen: float  # metres that the windscreen leans backwards
    back: float  # position of the foot of the rear window
    rake: float  # metres that the rear window leans forwards
    lean: float  # of the sides of the cabin
    posts: tuple[float, ...]  # positions between the side windows


SHAPES = {
    "sedan": Shape(0.78, 0.93, 0.38, 0.75, -0.7, 0.55, 0.28, (-0.14,)),
    "hatchback": Shape(0.82, 1.0, 0.44, 0.72, -0.98, 0.4, 0.24, (-0.16, -0.62)),
    "sports car": Shape(0.84, 0.97, 0.34, 0.85, -0.78, 1.0, 0.4, (-0.3,)),
    "jeep": Shape(0.9, 1.0, 0.36, 0.32, -0.985, 0.12, 0.1, (-0.12, -0.56)),
    "van": Shape(0.8, 1.0, 0.76, 0.62, -0.985, 0.1, 0.1, (0.2, -0.38)),
}


def passenger(car: Parameters) -> list[Part]:
    """Parts of a passenger car on the ground z = 0, with its front at +x."""
    shape = SHAPES[car.kind]
    half, clear = car.length / 2, 0.55 * car.wheel
    axles = (0.62 * half, -0.6 * half)
    nose, tail = shape.nose * car.belt, shape.tail * car.belt
    cowl, back = shape.cowl * half, shape.back * half
    low = [(-half, clear + 0.22), (-half + 0.3, clear), (half - 0.3, clear), (half, clear + 0.2), (half, nose)]
    low += [(half - 0.2, nose + 0.35 * (car.belt - nose)), (cowl, car.belt)]
    low += [(back, car.belt), (-half, tail)] if tail < car.belt else [(-half, car.belt)]
    stripe = _stripe(car)
    trim = [] if car.kind in ("sedan", "sports car") else [Paint(block(z=(-FAR, clear + 0.16)), TRIM)]
    ends = [*fittings.front(half - 0.2, car.width, nose - 0.03), *fittings.rear(-half + 0.15, car.width, tail - 0.08)]
    sides = flanks(car.width / 2, 0.06, 0.6 * car.belt)
    parts = [
        Part(
            bevelled(profile(low), sides, BEVEL),
            car.paint,
            (*trim, *stripe, *ends, *fittings.arches(axles, car.wheel, car.width)),
        ),
        _cabin(car, cowl, back, stripe),
        *fittings.wheels(axles, car.wheel, car.width),
        *fittings.mirrors(cowl - 0.4, car.width, car.belt + 0.08, car.paint),
    ]
    if car.spoiler:
        parts += fittings.spoiler(-half, car.width / 2 - 0.1, car.belt + 0.24, car.paint)
    if car.spare:
        parts += fittings.spare_wheel(-half, 0.8 * car.wheel, 0.95 * car.belt)
    if car.rack:
        span = (back + shape.rake + 0.1, cowl - shape.screen - 0.1)
        parts += fittings.rack(span, car.width / 2 - 0.03 - shape.lean * (car.height - car.belt) - 0.06, car.height)
    return parts


def _cabin(car: Parameters, cowl: float, back: float, stripe: list[Paint]) -> Part:
    """The cabin above the belt, from the foot of the windscreen to that of the rear window."""
    shape, half = SHAPES[car.kind], car.length / 2
    roof = (back + shape.rake, cowl - shape.screen)
    outline = [(back, car.belt - 0.02), (cowl, car.belt - 0.02), (roof[1], car.height), (roof[0], car.height)]
    inner, glass = car.width / 2 - 0.03, (car.belt + 0.05, car.height - 0.1)
    panes = fittings.side_windows(outline, glass, [place * half for place in shape.posts])
    if not car.windows:
        panes = panes[-1:]
    panes += [
        fittings.end_window((roof[1] - 0.05, FAR), glass, inner - 0.1, shape.lean, car.belt),
        fittings.end_window((-FAR, roof[0]), glass, inner - 0.1, shape.lean, car.belt),
    ]
    over = stripe if car.kind == "sports car" else []
    return Part(
        bevelled(profile(outline), flanks(inner, shape.lean, car.belt), BEVEL), car.second_paint, (*over, *panes)
    )


def _stripe(car: Parameters) -> list[Paint]:
    """A stripe along the middle of a sports car, or around other cars."""
    if not car.stripe:
        return []
    level = 0.75 * car.belt
    where = block(y=(-0.24, 0.24)) if car.kind == "sports car" else block(z=(level - 0.1, level + 0.14))
    return [Paint(where, COLOURS[car.stripe])]
