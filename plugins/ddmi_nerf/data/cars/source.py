"""The source `cars`: cameras, views, surface points and captions of procedural cars, split by parameters."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ddmi_core.api import Split
from ddmi_core.parts import ArrayCache, choose, source_digest
from ddmi_nerf.cameras.camera import Camera
from ddmi_nerf.data.cars.car_model import Car, car
from ddmi_nerf.data.cars.parameters import KINDS, SEED
from ddmi_nerf.data.cars.tracing import Model
from ddmi_nerf.data.packing import Packing, Rows
from ddmi_nerf.data.view_set import ViewSet
from ddmi_nerf.settings import NerfSettings

DRAWN_BY = "cars 1"  # another number when the same car looks different
CACHE = ArrayCache("cars", room=4 << 30)
DISTANCE = 2.6  # from the origin, as in SRN Cars
ELEVATIONS = (-10.0, 75.0)  # degrees, from a little below the horizon
FINER = 3  # rays along each side of a pixel, averaged
Pixels = npt.NDArray[np.uint8]
# The R2 low-discrepancy sequence in the unit square (M. Roberts, 2018).
_STEPS = np.array([0.7548776662466927, 0.5698402909980532])


def load(location: None, settings: NerfSettings) -> Split:
    """Load cars of eight kinds, seen from all sides, with captions; the kind is the class."""
    made = [car(number) for number in range(settings.count)]
    made = [made[i] for i in choose([one.name for one in made], settings.limit)]
    packing = Packing(settings.views + settings.held_views, settings.size, settings.kept_points)
    here, package = Path(__file__).parent, Path(__file__).parents[2]
    of_cameras = (package / "cameras" / f"{name}.py" for name in ("camera", "conventions"))
    made_by = (*here.glob("*.py"), *of_cameras, package / "data" / "packing.py")
    names = [one.name for one in made]
    key = ["cars", source_digest(*made_by), names, packing.views, packing.size, packing.points]
    rows = CACHE.made(key, lambda: np.stack([pack(one, packing) for one in made]))
    CACHE.tidy()
    whole = ViewSet(
        packing.stack(rows),
        names,
        settings.showing,
        classes=KINDS,
        labels=[KINDS.index(one.kind) for one in made],
        captions=[one.captions for one in made],
        drawn_by=DRAWN_BY,
    )
    return whole.split(settings.held_out, [one.parameters.key for one in made])


def pack(one: Car, packing: Packing) -> Rows:
    """Pack a car into a row; the result depends on the car's number only."""
    draw = np.random.Generator(np.random.PCG64([SEED, one.parameters.number, 1]))
    seen = cameras(packing.views, packing.size, draw)
    points, colours, _ = one.surface(packing.points, draw)
    return packing.row(seen, np.stack([picture(one.model, camera) for camera in seen]), points, colours)


def cameras(count: int, size: int, draw: np.random.Generator) -> list[Camera]:
    """Cameras around the cube, uniformly spread over the sphere between two elevations.

    Any first few of them are uniformly spread too, and a larger count extends the same sequence.

    Args:
        count: number of cameras.
        size: pixels along each side.
        draw: source of randomness.
    """
    places = np.mod(draw.random(2) + np.arange(1, count + 1)[:, None] * _STEPS, 1)
    low, high = (math.sin(math.radians(elevation)) for elevation in ELEVATIONS)
    elevations = np.degrees(np.arcsin(low + (high - low) * places[:, 1]))
    return [
        Camera.orbit(360 * turn, elevation, DISTANCE, width=size, height=size)
        for turn, elevation in zip(places[:, 0], elevations, strict=True)
    ]


def picture(model: Model, camera: Camera) -> Pixels:
    """Render an anti-aliased view: `(H, W, 4)`, premultiplied colour, and opacity."""
    finer = camera.resized(FINER * camera.width, FINER * camera.height)
    hits = model.trace(finer.origin, finer.directions().astype(np.float32))
    values = np.concatenate([hits.colour, hits.opacity[:, None]], axis=1)
    rows = values.reshape(camera.height, FINER, -1).sum(axis=1)
    sums = rows.reshape(camera.height, camera.width, FINER, 4).sum(axis=2)
    result: Pixels = np.rint(sums * (255 / FINER**2)).astype(np.uint8)
    return result
