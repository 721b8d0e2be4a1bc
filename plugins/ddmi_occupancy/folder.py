"""Meshes from a folder or zip archive, as a split and, for one file, as a signal."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ddmi_core.api import Split
from ddmi_core.errors import DataError
from ddmi_core.parts import (
    ArrayCache,
    Decoding,
    Entry,
    captions_beside,
    choose,
    classes_of,
    decode_files,
    find_files,
    report_unusable,
    source_digest,
    tell_sides,
)
from ddmi_occupancy.inside import kaolin_available
from ddmi_occupancy.mesh_points import pack
from ddmi_occupancy.meshes import SUFFIXES, read_mesh
from ddmi_occupancy.sampling import SPARE, Packing, Rows, point_weights
from ddmi_occupancy.settings import OccupancySettings
from ddmi_occupancy.shape_set import ShapeSet
from ddmi_occupancy.signal import ShapeSignal

MAKERS = ("mesh_points", "meshes", "mending", "inside", "sampling")
CACHE = ArrayCache("meshes", room=4 << 30)


def load(location: Path, settings: OccupancySettings) -> Split:
    """Meshes of a folder or zip archive (obj, ply, stl, off, glb, gltf), some held out by a stable hash of their names.

    If all meshes lie in two or more sub-folders, these are the classes. Meshes are normalised, so that their units do
    not matter; `settings.up` says which way is up. In a zip archive, glTF files must not have buffers beside them. A
    mesh's captions are the lines of the text file beside it (`chair.txt` for `chair.glb`), if all have one. What these
    say is left or right is not mirrored.

    Raises:
        DataError: if there is no location, nothing usable in it, or (with `settings.strict`) any file that cannot be
            used.
    """
    if location is None:
        raise DataError("the source 'folder' needs a folder or zip archive of meshes: --data PATH")
    entries = find_files(location, SUFFIXES, "meshes")
    entries = [entries[i] for i in choose([entry.name for entry in entries], settings.limit)]
    packing = Packing(SPARE * settings.surface, settings.points)
    here = Path(__file__).parent
    version = source_digest(*(here / f"{name}.py" for name in MAKERS))

    def row(entry: Entry) -> Rows:
        return _row(location, entry, settings, packing, version)

    key = ("occupancy", "mesh", version, settings.up, int(settings.repair), packing.surface, packing.points)
    rows, problems = decode_files(location, entries, Decoding(packing.length, np.dtype(np.uint8), row, key))
    CACHE.tidy()
    report_unusable(location, problems, settings.strict)
    good = [i for i, entry in enumerate(entries) if entry.name not in problems]
    if not good:
        raise DataError(f"{location}: none of its meshes ({len(entries)}) can be used")
    names = [entries[i].name for i in good]
    classes, labels = classes_of(names) if settings.classes else ((), [0] * len(names))
    captions = captions_beside(location, names, SUFFIXES, "meshes")
    whole = ShapeSet(
        packing.clouds(rows),
        point_weights(settings.points),
        names,
        settings.surface,
        rows=good,
        classes=classes,
        labels=labels,
        captions=captions,
        mirrored=[settings.augment and not tell_sides(texts) for texts in captions or [()] * len(names)],
    )
    return whole.split(settings.held_out)


def read(path: Path, settings: OccupancySettings) -> ShapeSignal:
    """One mesh file as a signal with B = 1.

    Raises:
        DataError: if the file is missing, is no mesh, or is no solid.
    """
    if not path.is_file():
        raise DataError(f"{path}: {'a folder, not a mesh file' if path.is_dir() else 'no such file'}")
    if path.suffix.lower() not in SUFFIXES:
        raise DataError(f"{path}: meshes end in {', '.join(SUFFIXES)}")
    packing = Packing(settings.surface, settings.points)
    with path.open("rb") as file:
        row = pack(read_mesh(file, str(path), path.parent, settings.up, settings.repair), str(path), packing)
    weights = point_weights(settings.points)
    return ShapeSet(packing.clouds(row[None]), weights, [path.name], settings.surface).batch([0])


def _row(location: Path, entry: Entry, settings: OccupancySettings, packing: Packing, version: str) -> Rows:
    """A file as a row, from the cache where it has been read before."""
    beside = (location / entry.name).parent if location.is_dir() else None

    def make() -> Rows:
        with entry.opened() as file:
            return pack(read_mesh(file, entry.name, beside, settings.up, settings.repair), entry.name, packing)

    how = [version, settings.up, settings.repair, packing.surface, packing.points, kaolin_available()]
    return CACHE.made(["mesh", str(location.resolve()), entry.name, entry.stamp, *how], make)
