"""Preprocessing of an object's files: select views, read images, check cameras, and find surface points."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
from attrs import evolve

from ddmi_core.errors import DataError, counted
from ddmi_core.parts import Change, Decoded, Entry, changes_of_pictures
from ddmi_nerf.cameras.camera import Camera, Capture, Floats, Shot
from ddmi_nerf.cameras.camera_checks import check_places
from ddmi_nerf.cameras.conventions import Matrix
from ddmi_nerf.cameras.lens import Lens
from ddmi_nerf.cameras.world import Y_UP, by_cameras, moved, moved_point, upper_axis
from ddmi_nerf.data.agreement import check_agreement
from ddmi_nerf.data.objects import POINTS, ObjectFiles
from ddmi_nerf.data.packing import Packing, Rows
from ddmi_nerf.data.point_cloud import read_points
from ddmi_nerf.data.reading import Reading, read_mask, read_picture, squared
from ddmi_nerf.data.visual_hull import OPAQUE, SOFT, hull_points, softness, visual_hull
from ddmi_nerf.settings import NerfSettings

SEED = 77411
SMALL = 0.25  # half sides of the cube; focal lengths that are several times too long leave less of an object


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
    world, centre, extent = _world(files.name, capture, settings)
    draw = np.random.Generator(np.random.PCG64(SEED))
    shots = _chosen(capture.shots, tests, settings, None if ordered else draw)
    cameras = [squared(moved(shot.camera, world).placed(centre, extent), settings.size) for shot in shots]
    readings = [_picture(files, shot, settings) for shot in shots]
    pictures = np.stack([reading.pixels for reading in readings])
    names = [shot.picture for shot in shots]
    if settings.opacity != "full" and (pictures[..., 3] >= OPAQUE).all():
        raise DataError(
            f"{files.name}: every pixel of its views is opaque, so alpha channels or masks separate no object from the "
            "background. Fix: save PNG files with transparency around the object, give masks, or add points.ply and "
            "--set domain.opacity=full"
        )
    check_places(files.name, names, cameras, pictures, extent, settings.opacity == "full")
    outside = 0.0
    if settings.opacity != "full":
        outside = 1 - check_agreement(files.name, names, cameras, pictures, settings.agreement)
    known, places, colours = slice(settings.views), np.zeros((1, 3)), np.zeros((1, 3))
    if points:
        places, colours = _from_file(files, capture, world, centre, extent) or _from_outlines(
            files.name, cameras[known], pictures[known], settings, draw
        )
    chosen = _repeated(len(places), settings.kept_points, draw)
    packing = Packing(len(shots), settings.size, settings.kept_points)
    row = packing.row(cameras, pictures, places[chosen], colours[chosen])
    views = len(capture.shots) + len(tests)
    place = {"centre": centre.tolist(), "extent": float(extent), **capture.applied}
    if (world != np.eye(4)).any():
        place["world"] = world.tolist()  # before the centre and extent
    of_views = changes_of_pictures((change for reading in readings for change in reading.changes), "views")
    changes = [Change("moved and scaled to the cube", 1 / extent, "times", place), *of_views]
    changes += _changes(views, shots, settings)
    if settings.place == "file" and settings.up == "z" and (axis := upper_axis(cameras)) not in ("", "+z"):
        fix = (
            "if y points up in their world: --set domain.up=y"
            if axis == "+y"
            else "place objects by their cameras, --set domain.place=cameras"
        )
        changes.append(Change(f"with cameras whose upper sides point to {axis}, not to z", fix=fix))
    if points and (reach := float(np.abs(places).max())) < SMALL:
        fix = (
            "give a smaller --set domain.extent; or, if pictures were made smaller, w and h of those that the focal "
            "lengths are for"
        )
        changes.append(Change("small in the cube", reach, "of its half side", fix=fix))
    if settings.opacity != "full":
        changes.append(Change("compared with the visual hull", outside, "of the outlines' borders outside of it"))
    if settings.opacity != "full" and (soft := softness(pictures)) > SOFT:
        fix = "unless the object is translucent or hazy, give masks of black and white, or alpha of 0 and 255"
        changes.append(
            Change("with soft outlines, taken at half opacity for surface points", soft, "pixels wide", fix=fix)
        )
    if below := max(reading.below_white for reading in readings):
        changes.append(Change("with white taken as the background", below, "of 255 below white"))
    return Decoded(row, tuple(changes))


def _changes(views: int, shots: Sequence[Shot], settings: NerfSettings) -> Iterator[Change]:
    """What is done to the views of an object and their intrinsics."""
    if views > len(shots):
        yield Change(f"reduced to {counted(len(shots), 'view')}", views, "in the files")
    scales = [shot.scale for shot in shots if shot.scale != 1]
    if scales:
        yield Change("with intrinsics scaled to the size of the views", float(np.median(scales)), "times")
    if bent := [_shift(shot.camera, shot.lens) for shot in shots if shot.lens]:
        yield Change("with the distortion of the lens undone", max(bent), "pixels at most")
    if masked := sum(bool(shot.mask) for shot in shots) * (settings.opacity != "full"):
        yield Change("with masks as opacity", masked, "of the views")
    sizes = [(shot.camera.width, shot.camera.height) for shot in shots]
    if cut := max(1 - min(size) / max(size) for size in sizes):
        yield Change("with views cut to their central square", cut, "of the area", {"sizes": sorted(set(sizes))})
    scales = [min(size) / settings.size for size in sizes]
    if max(scales) > 1:
        yield Change("with reduced views", max(scales), "times")
    if min(scales) < 1:
        yield Change("with enlarged views", 1 / min(scales), "times")


def _shift(camera: Camera, lens: Lens) -> float:
    """By how many pixels a lens moves the middles of the picture's sides, at most."""
    x = np.array([-camera.cx, camera.width - camera.cx, 0, 0]) / camera.fx
    y = np.array([0, 0, -camera.cy, camera.height - camera.cy]) / camera.fy
    across, down = lens.distorted(x, y)
    return float(np.hypot((across - x) * camera.fx, (down - y) * camera.fy).max())


def has_cloud(files: ObjectFiles) -> bool:
    """Whether an object has a point cloud, by name or as `points.ply`.

    Raises:
        DataError: if the object cannot be used.
    """
    return _cloud(files, files.captures()[0]) is not None


def _world(name: str, capture: Capture, settings: NerfSettings) -> tuple[Matrix, Floats, float]:
    """The similarity from the file's world to one with z up, and the cube in it: centre, and half its side."""
    if settings.place == "cameras":
        try:
            world = by_cameras([shot.camera for shot in capture.shots])
        except ValueError as error:
            raise DataError(f"{name}: {error}; place the object in its file, without domain.place=cameras") from error
        return world, np.zeros(3), settings.extent or 1.0
    world = Y_UP if settings.up == "y" else np.eye(4)
    return world, moved_point(capture.centre, world), settings.extent or capture.extent


def _from_file(
    files: ObjectFiles, capture: Capture, world: Matrix, centre: Floats, extent: float
) -> tuple[Floats, Floats] | None:
    """Points and their colours from the object's point cloud, if it has one."""
    cloud = _cloud(files, capture)
    return read_points(cloud, world, centre, extent) if cloud else None


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


def _picture(files: ObjectFiles, shot: Shot, settings: NerfSettings) -> Reading:
    mask, of_mask = None, tuple[Change, ...]()
    if shot.mask and settings.opacity != "full":
        entry = files.picture(shot.mask)
        with entry.opened() as file:
            mask, of_mask = read_mask(file, entry.name, shot.camera.width, shot.camera.height)
    entry = files.picture(shot.picture)
    with entry.opened() as file:
        reading = read_picture(file, entry.name, settings.size, settings.opacity, shot=shot, mask=mask)
    return evolve(reading, changes=(*reading.changes, *of_mask))
