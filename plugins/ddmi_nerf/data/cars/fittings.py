"""Parts common to all kinds of cars: wheels, windows, lamps, mirrors, racks, spoilers and number plates."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from ddmi_nerf.data.cars.parameters import ARCH, GLASS, LAMP, PLATE, RIM, TAIL_LAMP, TRIM, TYRE
from ddmi_nerf.data.cars.solids import Cylinder, Ellipsoid, Span, block, both, flanks, profile
from ddmi_nerf.data.cars.tracing import Colour, Paint, Part

TYRE_WIDTH = 0.24
FAR = 100.0  # beyond all parts of a car, in metres
SIDES = (-1.0, 1.0)


def wheels(places: Sequence[float], radius: float, width: float) -> list[Part]:
    """Pairs of wheels on axles at given x, for a car of a given width."""
    found = []
    for x in places:
        rim = Paint(Cylinder([x, 0.0, radius], 0.62 * radius, FAR), RIM)
        gap = Paint(Cylinder([x, 0.0, radius], 0.2 * radius, FAR), TRIM)
        for side in SIDES:
            centre = [x, side * (width / 2 - TYRE_WIDTH / 2 + 0.02), radius]
            found.append(Part(Cylinder(centre, radius, TYRE_WIDTH / 2), TYRE, (rim, gap)))
    return found


def arches(places: Sequence[float], radius: float, width: float) -> list[Paint]:
    """Dark wheel arches on the sides of a car of a given width."""
    return [Paint(Cylinder([x, side * width / 2, radius], 1.17 * radius, 0.06), ARCH) for x in places for side in SIDES]


def side_windows(outline: Sequence[Span], z: Span, posts: Sequence[float], margin: float = 0.08) -> list[Paint]:
    """Windows on both sides of a cabin.

    Args:
        outline: of the cabin, from the side.
        z: their lower and upper edges.
        posts: x of the centres of the posts between them.
        margin: distance from the outline.
    """
    ends = sorted([-FAR, *posts, FAR])
    panes = [(start + 0.05, end - 0.05) for start, end in pairwise(ends)]
    inside = profile(outline, margin)
    return [Paint(both(inside, block(x=pane, z=z)), GLASS) for pane in panes]


def end_window(x: Span, z: Span, half: float, lean: float, level: float) -> Paint:
    """A window at the front or rear of a cabin, between sides as in `flanks`."""
    return Paint(both(flanks(half, lean, level), block(x=x, z=z)), GLASS)


def front(x: float, width: float, top: float, colour: Colour = LAMP) -> list[Paint]:
    """Lamps, a grille and a number plate on a front.

    Args:
        x: least x of the front's surfaces.
        width: of the car.
        top: height of the upper edge of the lamps.
        colour: of the lamps.
    """
    half = width / 2
    found = [Paint(block((x, FAR), (-half + 0.55, half - 0.55), (top - 0.24, top - 0.06)), TRIM)]
    found += [
        Paint(block((x, FAR), on_side(side, half - 0.48, half - 0.06), (top - 0.2, top)), colour) for side in SIDES
    ]
    return [*found, Paint(block((x, FAR), (-0.3, 0.3), (top - 0.45, top - 0.31)), PLATE)]


def rear(x: float, width: float, top: float, tall: float = 0.2) -> list[Paint]:
    """Lamps and a number plate on a rear, see `front`; `tall` is the height of the lamps."""
    half = width / 2
    found = [
        Paint(block((-FAR, x), on_side(side, half - 0.42, half - 0.05), (top - tall, top)), TAIL_LAMP) for side in SIDES
    ]
    return [*found, Paint(block((-FAR, x), (-0.3, 0.3), (top - 0.4, top - 0.24)), PLATE)]


def mirrors(x: float, width: float, z: float, colour: Colour, size: float = 1.0) -> list[Part]:
    """A mirror on each side."""
    radii = size * np.array([0.08, 0.13, 0.09])
    return [Part(Ellipsoid([x, side * (width / 2 + 0.07), z], radii), colour) for side in SIDES]


def spare_wheel(end: float, radius: float, z: float) -> list[Part]:
    """A wheel on a rear at x = `end`."""
    centre = [end - 0.1, 0.0, z]
    rim = Paint(Cylinder(centre, 0.55 * radius, FAR, axis=0), RIM)
    return [Part(Cylinder(centre, radius, 0.12, axis=0), TYRE, (rim,))]


def rack(x: Span, half: float, z: float) -> list[Part]:
    """Bars along a roof at height z, and the crossbars that carry them."""
    across = np.linspace(x[0] + 0.1, x[1] - 0.1, 3)
    along = [Part(block(x, on_side(side, half - 0.06, half), (z + 0.06, z + 0.13)), TRIM) for side in SIDES]
    bars = [Part(block((place - 0.05, place + 0.05), (-half, half), (z - 0.05, z + 0.1)), TRIM) for place in across]
    return [*along, *bars]


def spoiler(end: float, half: float, z: float, colour: Colour) -> list[Part]:
    """A wing on two posts over a rear at x = `end`, its upper side at height z."""
    wing = block((end + 0.02, end + 0.42), (-half, half), (z - 0.07, z))
    posts = [block((end + 0.14, end + 0.3), on_side(side, half - 0.35, half - 0.24), (z - 0.5, z)) for side in SIDES]
    return [Part(wing, colour), *(Part(post, TRIM) for post in posts)]


def on_side(side: float, inner: float, outer: float) -> Span:
    """Limits of y on one side of the car, given as distances from its middle."""
    return (inner, outer) if side > 0 else (-outer, -inner)
