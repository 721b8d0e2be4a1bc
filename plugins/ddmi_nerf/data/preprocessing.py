"""Preprocessing of an object's files: select views, read images, check cameras, and find surface points."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from ddmi_core.errors import DataError
from ddmi_core.parts import Change, Decoded, Entry
from ddmi_nerf.cameras.camera import Camera, Capture, Floats, Shot
from ddmi_nerf.cameras.camera_checks import check_places
from ddmi_nerf.data.objects import POINTS, ObjectFiles
from ddmi_nerf.data.packing import Packing, Rows
from ddmi_nerf.data.point_cloud import read_points
from ddmi_nerf.data.reading import read_picture, squared
from ddmi_nerf.data.visual_hull import hull_points, visual_hull
from ddmi_nerf.settings import NerfSettings

SEED = 77411


def pack(files: ObjectFiles, settings: NerfSettings, *, ordered: bool = False, points: bool = True) -> Decoded:
    """Pack an object into a row, with `settings.views` training views followed by `settings.held_views` held-out ones.

    Args:
        files: of the object.
        settings: of the domain.
        ordered: keep training views in the order of the files; otherwise shuffle them.
        points: find surface points; otherwise all points are at the origin.

    Raises:
        DataError: if the object cannot be used.
    """
    capture, tests = files.captures()
    extent = settings.extent or capture.extent
    draw = np.random.Generator(np.random.PCG64(SEED))
    shots = _chosen(capture.shots, tests, settings, None if ordered else draw)
    cameras = [squared(shot.camera.placed(capture.centre, extent), settings.size) for shot in shots]
    pictures = np.stack([_picture(files, shot, settings) for shot in shots])
    names = [shot.picture for shot in shots]
    check_places(files.name, names, cameras, pictures, extent, settings.opacity == "full")
    known, places, colours = slice(settings.views), np.zeros((1, 3)), np.zeros((1, 3))
    if points:
        places, colours = _from_file(files, capture, extent) or _from_outlines(
            files.name, cameras[known], pictures[known], settings, draw
        )
    chosen = _repeated(len(places), settings.kept_points, draw)
    packing = Packing(len(shots), settings.size, settings.kept_points)
    row = packing.row(cameras, pictures, places[chosen], colours[chosen])
    return Decoded(row, tuple(_changes(capture, len(capture.shots) + len(tests), shots, extent, settings)))


def _changes(
    capture: Capture, views: int, shots: Sequence[Shot], extent: float, settings: NerfSettings
) -> Iterator[Change]:
    """What is done to the views and cameras of an object."""
    place = {"centre": [float(value) for value in capture.centre], "extent": float(extent)}
    yield Change("moved and scaled to the cube", 1 / extent, "times", place)
    if views > len(shots):
        yield Change(f"reduced to {len(shots)} views", views, "views")
    width, height = shots[0].camera.width, shots[0].camera.height
    if width != height:
        yield Change(
            "with views cut to their central square", 1 - min(width, height) / max(width, height), "of the area"
        )
    scale = min(width, height) / settings.size
    if scale != 1:
        what, amount = ("reduced", scale) if scale > 1 else ("enlarged", 1 / scale)
        yield Change(f"with {what} views", amount, "times")
    if settings.opacity == "white":
        yield Change("with white taken as the background")


def has_cloud(files: ObjectFiles) -> bool:
    """Whether an object has a point cloud, by name or as `points.ply`.

    Raises:
        DataError: if the object cannot be used.
    """
    return _cloud(files, files.captures()[0]) is not None


def _from_file(files: ObjectFiles, capture: Capture, extent: float) -> tuple[Floats, Floats] | None:
    """Points and their colours from the object's point cloud, if it has one."""
    cloud = _cloud(files, capture)
    return read_points(cloud, capture.centre, extent) if cloud else None


def _cloud(files: ObjectFiles, capture: Capture) -> Entry | None:
    return files.find(capture.points or POINTS)


def _from_outlines(
    name: str, cameras: Sequence[Camera], pictures: Rows, settings: NerfSettings, draw: np.random.Generator
) -> tuple[Floats, Floats]:
    """Points on the visual hull, and their colours."""
    if settings.opacity == "full":
        raise DataError(
            f"{name}: without opacity there are no silhouettes to find surface points from; put a coloured {POINTS} "
            "into the object's folder"
        )
    hull = visual_hull(cameras, pictures)
    if not hull.any():
        raise DataError(
            f"{name}: the silhouettes of its views do not intersect in the cube; check that poses and intrinsics "
            "belong to these images, or give another --set domain.extent"
        )
    return hull_points(cameras, pictures, hull, settings.kept_points, draw)


def _chosen(
    shots: Sequence[Shot], tests: Sequence[Shot], settings: NerfSettings, draw: np.random.Generator | None
) -> list[Shot]:
    """Evenly spaced views, training views first.

    Training views are shuffled, or in file order without `draw`.
    """
    views, held = settings.views, settings.held_views
    if tests:
        kept, apart = _spread(len(shots), views), [tests[i] for i in _spread(len(tests), held)]
    else:
        every = _spread(len(shots), views + held)
        taken = {every[int((i + 0.5) * len(every) / held)] for i in range(held)}
        kept, apart = [i for i in every if i not in taken], [shots[i] for i in sorted(taken)]
    order = range(len(kept)) if draw is None else draw.permutation(len(kept))
    return [*(shots[kept[i]] for i in order), *apart]


def _spread(count: int, wanted: int) -> list[int]:
    """`wanted` evenly spaced numbers below `count`."""
    return [int((i + 0.5) * count / wanted) for i in range(wanted)]


def _repeated(count: int, wanted: int, draw: np.random.Generator) -> npt.NDArray[np.int64]:
    """`wanted` random numbers below `count`, each as often as the others, or once more."""
    rounds = [draw.permutation(count) for _ in range(-(-wanted // count))]
    return np.concatenate(rounds)[:wanted]


def _picture(files: ObjectFiles, shot: Shot, settings: NerfSettings) -> Rows:
    entry = files.picture(shot.picture)
    with entry.opened() as file:
        return read_picture(file, entry.name, settings.size, settings.opacity)
