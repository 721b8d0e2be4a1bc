"""Attributes of a car that captions name, measured from its density and its paints."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from attrs import frozen

from ddmi_nerf.data.cars.car_model import car
from ddmi_nerf.data.cars.solids import Array
from ddmi_nerf.evaluation.car_scan import Scan, Surface
from ddmi_nerf.rendering.radiance import densities
from ddmi_nerf.rendering.scene import Scene

FIRST, EXAMPLES = 1_000_000, 160  # number of the first reference car, and their count; every kind is among them
ALONG, ACROSS, UP = (torch.linspace(-end, end, n) for end, n in ((0.88, 24), (0.2, 5), (0.6, 121)))
LEVEL = 10.0  # density of a surface
NOTHING = -0.5  # height where there is no car

# Positions are in the cube, heights fractions of that of the roof above the ground. `examples/measured_cars.py`
# validates all thresholds.
MIDDLE = 0.12  # largest |y| of the middle
FLAT = 0.03  # half the thickness of the layer at the roof's height
FRONT = {"truck": 0.45}  # least x of the body between windows and ground; 0.3 for other kinds
BODY = {"van": (0.2, 0.34), "bus": (0.12, 0.27)}  # its heights, below a stripe; 0.25 to 0.65 for other kinds
FAINTEST = 0.1  # least share of the body's paint; below it, the car is black
BONNET = (0.42, 0.75)  # x, of a sports car
CENTRE_LINE = 0.06  # largest |y| of the middle of a sports car's stripe
BELT = {"van": (0.38, 0.49), "bus": (0.28, 0.42)}  # heights at which stripes run around
BAND = 0.5  # least share of a stripe's colour at one height
TAIL, WING = (-0.86, -0.76), 0.74  # x, and least height, of a spoiler
BARS, BARRED = 0.025, 0.5  # least height of a rack above the roof, and least share of the roof's length
SPARE = 0.045  # least distance of a spare wheel's surface behind the rear
REAR_WINDOWS, PANES, GLAZED = (-0.75, 0.1), (0.68, 0.88), 0.3  # x and heights of a van's, and least share of glass


@frozen
class Attributes:
    """Measured attributes of a car; empty strings for what it does not have, or if there is no car."""

    kind: str = ""
    colour: str = ""  # of the body
    second_colour: str = ""  # of the cabin, a truck's box or a bus's roof, if it differs
    stripe: str = ""  # its colour
    spoiler: bool = False
    roof_rack: bool = False
    spare_wheel: bool = False
    closed_sides: bool = False


@torch.no_grad()
def measure(scene: Scene) -> Attributes:
    """Measure the attributes of a car in the cube, with its front at +x.

    The kind is that of the nearest outline among 160 cars outside of all data sets. Colours are those of most points of
    a region, after removal of the lighting. Attributes that the kind never has in the data are not looked for.
    """
    heights = outline(scene)
    if (heights == NOTHING).all():
        return Attributes()
    kinds, examples = _examples()
    kind = kinds[int(np.square(examples - heights).sum(axis=1).argmin())]
    scan = Scan(scene)
    return attributes(kind, scan.sides, scan.top, scan.rear)


def outline(scene: Scene) -> Array:
    """Greatest heights `(24,)` of a car along its length, near its middle."""
    full = densities(scene.radiance, (ALONG, ACROSS, UP)) > LEVEL
    heights: Array = torch.where(full, UP[:, None, None], NOTHING).amax(dim=(0, 1)).double().numpy()
    return heights


def attributes(kind: str, sides: Surface, top: Surface, rear: Surface) -> Attributes:
    """Attributes of a car of a known kind from its scanned surfaces; the kind alone without a surface."""
    middle = top.where(np.abs(top.points[:, 1]) < MIDDLE)
    if not len(sides.points) or not len(middle.points):
        return Attributes(kind)
    ground, roof = np.quantile(sides.points[:, 2], 0.01), np.quantile(middle.points[:, 2], 0.9)
    scale = max(float(roof - ground), 1e-6)
    colour = _body_colour(kind, sides, (sides.points[:, 2] - ground) / scale)
    second = _roof_colour(kind, top, float(roof))
    return Attributes(
        kind,
        colour,
        second_colour=second if second != colour else "",
        stripe=_stripe(kind, colour, sides, top, (sides.points[:, 2] - ground) / scale),
        spoiler=kind == "sports car" and _has_spoiler(top, (top.points[:, 2] - ground) / scale),
        roof_rack=kind in ("jeep", "hatchback", "van") and _has_rack(top, float(roof)),
        spare_wheel=kind == "jeep" and _has_spare_wheel(rear, (rear.points[:, 2] - ground) / scale),
        closed_sides=kind == "van" and _has_closed_sides(sides, (sides.points[:, 2] - ground) / scale),
    )


def _body_colour(kind: str, sides: Surface, heights: Array) -> str:
    low, high = BODY.get(kind, (0.25, 0.65))
    body = sides.where((sides.points[:, 0] > FRONT.get(kind, 0.3)) & (heights > low) & (heights < high))
    if not len(body.points):
        return ""
    # Windows, tyres and trim are dark too, so a car is black only if it has no other paint.
    return body.main(FAINTEST, besides="black") or "black"


def _roof_colour(kind: str, top: Surface, roof: float) -> str:
    """Colour of the highest surface, beside the stripe of a sports car."""
    level = np.abs(top.points[:, 2] - roof) < FLAT
    beside = np.abs(top.points[:, 1]) > MIDDLE if kind == "sports car" else level
    return top.where(level & beside).main()


def _stripe(kind: str, colour: str, sides: Surface, top: Surface, heights: Array) -> str:
    """Colour of a stripe: along the middle of a sports car's bonnet, or around a van or a bus."""
    if kind == "sports car":
        x, y = top.points[:, 0], np.abs(top.points[:, 1])
        found = top.where((x > BONNET[0]) & (x < BONNET[1]) & (y < CENTRE_LINE)).main()
        return found if found != colour else ""
    best, share = "", BAND
    low, high = BELT.get(kind, (0.0, 0.0))
    belt = sides.where((heights > low) & (heights < high))
    for height in np.unique(belt.points[:, 2]):
        row = belt.where(belt.points[:, 2] == height)
        found = row.main()
        if found not in ("", colour) and row.share(found) > share:
            best, share = found, row.share(found)
    return best


def _has_spoiler(top: Surface, heights: Array) -> bool:
    tail = (top.points[:, 0] > TAIL[0]) & (top.points[:, 0] < TAIL[1]) & (np.abs(top.points[:, 1]) < 2 * MIDDLE)
    return bool(tail.any() and np.quantile(heights[tail], 0.9) > WING)


def _has_rack(top: Surface, roof: float) -> bool:
    """Whether bars run above most of the roof, beside its middle."""
    x, y, z = top.points.T
    along = np.unique(x[(np.abs(y) < MIDDLE) & (z > roof - FLAT)])
    raised = np.unique(x[(np.abs(y) > MIDDLE) & (z > roof + BARS)])
    return len(along) > 0 and len(np.intersect1d(along, raised)) > BARRED * len(along)


def _has_spare_wheel(rear: Surface, heights: Array) -> bool:
    """Whether the middle of the rear is behind the rest of it."""
    x, y, _ = rear.points.T
    at = (heights > 0.4) & (heights < 0.6)
    middle, beside = at & (np.abs(y) < MIDDLE / 2), at & (np.abs(y) > 2 * MIDDLE)
    return bool(middle.any() and beside.any() and np.median(x[beside]) - np.median(x[middle]) > SPARE)


def _has_closed_sides(sides: Surface, heights: Array) -> bool:
    x = sides.points[:, 0]
    panes = (x > REAR_WINDOWS[0]) & (x < REAR_WINDOWS[1]) & (heights > PANES[0]) & (heights < PANES[1])
    return bool(panes.any()) and sides.where(panes).share("glass") < GLAZED


@cache
def _examples() -> tuple[list[str], Array]:
    """Kinds and outlines `(160, 24)` of cars, traced on their exact models."""
    cars = [car(FIRST + number) for number in range(EXAMPLES)]
    along, across = (axis.double().numpy() for axis in (ALONG, ACROSS))
    x, y = (part.ravel() for part in np.meshgrid(along, across))
    above = np.stack([x, y, np.ones_like(x)], axis=1)
    down = np.tile([0.0, 0.0, -1.0], (len(above), 1))
    depths = np.stack([one.trace(above, down).depth for one in cars]).reshape(EXAMPLES, len(across), len(along))
    heights = np.where(np.isfinite(depths), 1 - depths, NOTHING).max(axis=1)

    return [one.kind for one in cars], heights
