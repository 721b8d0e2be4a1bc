"""Pick-ups, trucks and buses, in metres."""

from __future__ import annotations

import numpy as np

from ddmi_nerf.data.cars import fittings
from ddmi_nerf.data.cars.fittings import FAR, SIDES, on_side
from ddmi_nerf.data.cars.parameters import COLOURS, GLASS, TRIM, Parameters
from ddmi_nerf.data.cars.solids import bevelled, block, flanks, profile
from ddmi_nerf.data.cars.tracing import Paint, Part

BEVEL = 0.06


def pick_up(car: Parameters) -> list[Part]:
    """Parts of a pick-up: a bonnet and a cabin in front of an open bed."""
    half, clear, wide = car.length / 2, 0.6 * car.wheel, car.width / 2
    axles = (0.62 * half, -0.58 * half)
    cowl, back, nose, floor = 0.4 * half, -0.14 * half, 0.9 * car.belt, 0.66 * car.belt
    low = [(back, clear), (half - 0.3, clear), (half, clear + 0.2), (half, nose), (cowl, car.belt), (back, car.belt)]
    roof = [(cowl - 0.5, car.height), (back + 0.1, car.height)]
    outline = [(back, car.belt - 0.02), (cowl, car.belt - 0.02), *roof]
    bed = [(-half, clear + 0.2), (-half + 0.25, clear), (back + 0.1, clear), (back + 0.1, floor), (-half, floor)]
    glass, lean = (car.belt + 0.05, car.height - 0.1), 0.14
    windows = [
        *fittings.side_windows(outline, glass, []),
        fittings.end_window((roof[0][0] - 0.05, FAR), glass, wide - 0.13, lean, car.belt),
        fittings.end_window((-FAR, roof[1][0]), glass, wide - 0.18, lean, car.belt),
    ]
    around = (
        Paint(block(z=(-FAR, clear + 0.16)), TRIM),
        *fittings.rear(-half + 0.05, car.width, car.belt - 0.06, 0.3),
        *fittings.arches(axles, car.wheel, car.width),
    )
    walls = [block((-half, back), on_side(side, wide - 0.1, wide), (floor, car.belt)) for side in SIDES]
    walls.append(block((-half, -half + 0.1), (-wide, wide), (floor, car.belt)))
    load = Paint(block(x=(-half + 0.1, FAR), y=(-wide + 0.1, wide - 0.1), z=(floor - 0.02, FAR)), TRIM)
    return [
        Part(
            bevelled(profile(low), flanks(wide), BEVEL),
            car.paint,
            (*fittings.front(half - 0.15, car.width, nose - 0.05), *around),
        ),
        Part(bevelled(profile(outline), flanks(wide - 0.03, lean, car.belt), BEVEL), car.second_paint, windows),
        Part(bevelled(profile(bed), flanks(wide), 0.02), car.paint, (load, *around)),
        *(Part(wall, car.paint, around) for wall in walls),
        *fittings.wheels(axles, car.wheel, car.width),
        *fittings.mirrors(cowl - 0.4, car.width, car.belt + 0.1, car.paint),
    ]


def truck(car: Parameters) -> list[Part]:
    """Parts of a truck: a cab over the front wheels, and a box behind it."""
    half, wide = car.length / 2, car.width / 2
    axles = (half - 0.95, -half + 1.0, -half + 2.1)
    step, top, foot = half - 1.75, 0.76 * car.height, 0.9 * car.wheel
    cab = [(step, foot), (half - 0.1, foot), (half, foot + 0.2), (half, car.belt), (half - 0.3, top), (step, top)]
    glass = (car.belt + 0.08, top - 0.18)
    windows = [
        *fittings.side_windows(cab, glass, [], margin=0.16),
        fittings.end_window((half - 0.32, FAR), glass, wide - 0.16, 0.0, 0.0),
    ]
    lamps = fittings.front(half - 0.06, car.width, foot + 0.5)
    box = [(-half, 2.15 * car.wheel), (step - 0.14, 2.15 * car.wheel), (step - 0.14, car.height), (-half, car.height)]
    frame = block((-half + 0.1, half - 0.4), (-0.55, 0.55), (car.wheel, 2.2 * car.wheel))
    doors = [Paint(block(x=(-FAR, -half + 0.02), y=(-0.04, 0.04)), TRIM)]
    doors += fittings.rear(-half + 0.02, car.width, 2.15 * car.wheel + 0.34, 0.26)
    return [
        Part(
            bevelled(profile(cab), flanks(wide - 0.05), 0.1),
            car.paint,
            (*lamps, *windows, *fittings.arches(axles[:1], car.wheel, car.width)),
        ),
        Part(bevelled(profile(box), flanks(wide), 0.03), car.second_paint, doors),
        Part(frame, TRIM),
        *fittings.wheels(axles, car.wheel, car.width),
        *fittings.mirrors(half - 0.35, car.width, car.belt + 0.45, TRIM, 1.8),
    ]


def bus(car: Parameters) -> list[Part]:
    """Parts of a bus: one long body with a row of windows, and doors on the right."""
    half, wide, foot = car.length / 2, car.width / 2, 0.62 * car.wheel
    axles = (0.6 * half, -0.55 * half)
    outline = [(-half + 0.2, foot), (half - 0.2, foot), (half, foot + 0.25), (half, car.belt)]
    outline += [(half - 0.15, car.height), (-half + 0.05, car.height), (-half, car.height - 0.3), (-half, foot + 0.35)]
    glass = (car.belt, car.height - 0.4)
    count = round(car.length / 1.35)
    posts = np.linspace(-half, half, count + 1)[1:-1]
    doors = [(half - 1.55, half - 0.55), (-0.1 * half - 0.5, -0.1 * half + 0.5)]
    paints = [
        *([Paint(block(z=(car.belt - 0.42, car.belt - 0.16)), COLOURS[car.stripe])] if car.stripe else []),
        *([Paint(block(z=(car.height - 0.36, FAR)), car.second_paint)] if car.second != car.colour else []),
        *fittings.front(half - 0.1, car.width, foot + 0.6),
        *fittings.rear(-half + 0.1, car.width, foot + 1.0, 0.36),
        *fittings.side_windows(outline, glass, posts.tolist(), margin=0.2),
        fittings.end_window((half - 0.3, FAR), (car.belt - 0.2, car.height - 0.35), wide - 0.16, 0.0, 0.0),
        fittings.end_window((-FAR, -half + 0.1), (car.belt + 0.15, car.height - 0.5), wide - 0.4, 0.0, 0.0),
        *(Paint(block(x, (-FAR, -wide + 0.1), (foot + 0.25, car.height - 0.4)), GLASS) for x in doors),
        *fittings.arches(axles, car.wheel, car.width),
    ]
    return [
        Part(bevelled(profile(outline), flanks(wide), 0.07), car.paint, paints),
        *fittings.wheels(axles, car.wheel, car.width),
        *fittings.mirrors(half - 0.2, car.width, car.height - 0.75, TRIM, 1.8),
    ]
