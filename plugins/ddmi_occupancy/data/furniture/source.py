"""The source `furniture`: procedural shapes with captions, split by their parameters."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ddmi_core.api import Split
from ddmi_core.parts import ArrayCache, source_digest
from ddmi_occupancy.data.furniture.building import build
from ddmi_occupancy.data.furniture.captions import captions
from ddmi_occupancy.data.furniture.parameters import CLASSES, SEED, Furniture, furniture
from ddmi_occupancy.data.furniture.solids import inside
from ddmi_occupancy.data.furniture.surface_points import surface
from ddmi_occupancy.data.sampling import SPARE, Packing, Rows, point_weights, points_around
from ddmi_occupancy.data.shape_set import ShapeSet
from ddmi_occupancy.settings import OccupancySettings

CACHE = ArrayCache("furniture", room=1 << 30)


def load(location: None, settings: OccupancySettings) -> Split:
    """Chairs, tables, stools, shelves and benches as unions of solids, with captions; the kind is the class."""
    pieces = [furniture(number) for number in range(settings.count)]
    packing = Packing(SPARE * settings.surface, settings.points)
    here = Path(__file__).parent
    version = source_digest(*here.glob("*.py"), here.parent / "sampling.py")
    rows = CACHE.made(
        ["furniture", version, len(pieces), packing.surface, packing.points],
        lambda: np.stack([pack(piece, packing) for piece in pieces]),
    )
    CACHE.tidy()
    whole = ShapeSet(
        packing.clouds(rows),
        point_weights(settings.points),
        [piece.name for piece in pieces],
        settings.surface,
        classes=CLASSES,
        labels=[CLASSES.index(piece.kind) for piece in pieces],
        captions=[captions(piece) for piece in pieces],
        mirrored=[settings.augment] * len(pieces),
        noise=settings.noise,
    )
    return whole.split(settings.held_out, [piece.key for piece in pieces])


def pack(piece: Furniture, packing: Packing) -> Rows:
    """A piece as a row of bytes, reproducibly on all machines."""
    draw = np.random.Generator(np.random.PCG64([SEED, piece.number, 1]))
    solids = build(piece)
    points, normals = surface(solids, packing.surface, draw)
    return packing.row(
        points, normals, points_around(points, packing.points, draw), lambda around: inside(solids, around)
    )
