"""The source `cars`: views, coloured points, captions and a split by parameters."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ddmi_core.api import Split
from ddmi_core.parts import ArrayCache, choose, source_digest
from ddmi_nerf.cars.catalogue import Car, car
from ddmi_nerf.cars.parameters import KINDS, SEED
from ddmi_nerf.cars.views import cameras, picture
from ddmi_nerf.packing import Packing, Rows
from ddmi_nerf.settings import NerfSettings
from ddmi_nerf.views_set import ViewSet

MAKERS = ("cameras", "conventions", "packing")
CACHE = ArrayCache("cars", room=4 << 30)


def load(location: None, settings: NerfSettings) -> Split:
    """Sedans, sports cars, vans, trucks, buses and others seen from all sides, with captions; the kind is the class."""
    made = [car(number) for number in range(settings.count)]
    made = [made[i] for i in choose([one.name for one in made], settings.limit)]
    packing = Packing(settings.views + settings.held_views, settings.size, settings.kept_points)
    here = Path(__file__).parent
    version = source_digest(*here.glob("*.py"), *(here.parent / f"{name}.py" for name in MAKERS))
    names = [one.name for one in made]
    key = ["cars", version, names, packing.views, packing.size, packing.points]
    rows = CACHE.made(key, lambda: np.stack([pack(one, packing) for one in made]))
    CACHE.tidy()
    whole = ViewSet(
        packing.stack(rows),
        names,
        settings.showing,
        classes=KINDS,
        labels=[KINDS.index(one.kind) for one in made],
        captions=[one.captions for one in made],
    )
    return whole.split(settings.held_out, [one.parameters.key for one in made])


def pack(one: Car, packing: Packing) -> Rows:
    """A car as a row, always the same one."""
    draw = np.random.Generator(np.random.PCG64([SEED, one.parameters.number, 1]))
    seen = cameras(packing.views, packing.size, draw)
    points, colours, _ = one.surface(packing.points, draw)
    return packing.row(seen, np.stack([picture(one.model, camera) for camera in seen]), points, colours)
