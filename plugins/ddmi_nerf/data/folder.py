"""The source `folder`: objects with posed views from a folder or zip archive."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from attrs import evolve

from ddmi_core.api import Split
from ddmi_core.errors import DataError, counted
from ddmi_core.parts import (
    PICTURE_MAKERS,
    ArrayCache,
    Decoding,
    FolderSource,
    choose,
    data_warning,
    picture_suffixes,
    required_location,
    source_digest,
)
from ddmi_nerf.data.objects import CAPTION, ObjectFiles, account_for, find_objects
from ddmi_nerf.data.packing import Packing
from ddmi_nerf.data.preprocessing import has_cloud, pack
from ddmi_nerf.data.view_set import ViewSet
from ddmi_nerf.settings import NerfSettings
from ddmi_nerf.signal import ViewSignal

HELD_PART = 4  # at most one in four views is held out
CACHE = ArrayCache("views", room=16 << 30)


def load(location: Path | None, settings: NerfSettings) -> Split:
    """Load objects from a folder or zip archive; some are held out by a stable hash of their names.

    An object is a folder with `transforms.json` (of Blender, instant-ngp or nerfstudio), with `transforms_train.json`
    and `transforms_test.json` (whose views are held out), with `intrinsics.txt`, `pose/` and `rgb/` (of SRN), or with
    `images/` and the files of COLMAP (`sparse/0/`), LLFF (`poses_bounds.npy`) or NeuS (`cameras_sphere.npz`). z is up,
    or what `settings.up` and `settings.place` say. Its coloured points come from `points.ply` in its folder, or else
    from the visual hull of its views. If all objects lie in two or more sub-folders, these are the classes. The
    captions of an object are the lines of `caption.txt` in its folder, if all objects have one.

    Raises:
        DataError: if there is no location, it contains nothing usable, or (with `settings.strict`) any object cannot be
            used.
    """
    whole = load_all(location, settings)
    return whole.split(settings.held_out)


def load_all(location: Path | None, settings: NerfSettings, trained: bool = True) -> ViewSet:
    """Load all usable objects of a folder or zip archive.

    Args:
        location: of the folder or archive.
        settings: of the domain.
        trained: whether the objects are trained on, so that most of their views are kept for training; otherwise all
            that exceed `settings.views` can be held out.

    Raises:
        DataError: as `load`.
    """
    folder = FolderSource(
        required_location(location, "objects with views"),
        "objects",
        (*picture_suffixes(), ".json"),
        settings.strict,
        settings.classes,
    )
    every = find_objects(folder.location)
    objects = chosen = [every[i] for i in choose([files.name for files in every], settings.limit)]
    objects, shares = folder.usable(objects, lambda files: _share(files.counts, settings, trained))
    views, held = (min(numbers) for numbers in zip(*shares, strict=True))
    if views < settings.views:
        few = [(own, files.name) for files, (own, _) in zip(objects, shares, strict=True) if own < settings.views]
        data_warning(
            f"training uses {counted(views, 'training view')} of each object, not domain.views = {settings.views}, "
            f"because {len(few)} of {counted(len(objects), 'object')} have fewer",
            [f"{name} ({own})" for own, name in sorted(few)],
            "leave these objects out, or set domain.views",
        )
    showing = evolve(settings, views=views, held_views=held)
    packing = Packing(views + held, settings.size, settings.kept_points)
    by_name = {files.name: files for files in objects}
    how = Decoding(
        packing.length,
        np.dtype(np.uint8),
        lambda entry: pack(by_name[entry.name], showing),
        ("nerf", _version(), *_how(showing)),
    )
    rows, good = folder.decode([files.entry for files in objects], how, cache=CACHE)
    names = [objects[i].name for i in good]
    # A file of cameras stands for its folder: captions lie in that folder.
    beside = evolve(folder, location=folder.location.parent) if folder.location.suffix == ".json" else folder
    found = beside.labels(names, [str(Path(objects[i].folder, CAPTION)) for i in good])
    account_for(folder.location, every, names, [files.name for files in chosen])
    return ViewSet(
        packing.stack(rows),
        names,
        showing.showing,
        rows=good,
        classes=found.classes,
        labels=found.labels,
        captions=found.captions,
    )


def read(path: Path, settings: NerfSettings) -> ViewSignal:
    """Read one object as a signal with B = 1, from its folder or its camera file.

    It has all views in the order of the files, test views last. If there are more than `settings.views` and
    `settings.held_views` together, an evenly spaced subset is used. An object with one view and no point cloud has no
    surface points (P = 0).

    Raises:
        DataError: if there is no object, or it cannot be used.
    """
    if path.is_file() and path.suffix != ".json":
        raise DataError(f"{path}: not an object with views; give the object's folder, or its transforms.json")
    objects = find_objects(path)
    if len(objects) > 1:
        raise DataError(
            f"{path}: contains {len(objects)} objects; give the folder of one, such as {path / objects[0].folder}"
        )
    try:
        return _signal(objects[0], settings)
    except DataError as error:
        raise DataError(f"{path.parent if path.is_file() else path}: {error}") from error


def _signal(files: ObjectFiles, settings: NerfSettings) -> ViewSignal:
    """The signal of one object, see `read`."""
    every, tests = files.counts
    held = min(settings.held_views, tests)
    views = min(settings.views + settings.held_views - held, every)
    seen = views + held > 1 or has_cloud(files)
    row = pack(files, evolve(settings, views=views, held_views=held), ordered=True, points=seen).row
    stack = Packing(views + held, settings.size, settings.kept_points).stack(row[None])
    showing = evolve(settings.showing, views=views + held, shown=views + held)
    signal = ViewSet(stack, [files.name], showing).batch([0])
    kept = slice(None if seen else 0)
    return evolve(signal, points=signal.points[:, kept], point_colours=signal.point_colours[:, kept])


def _version() -> str:
    """Digest of the program files that rows depend on."""
    here = Path(__file__).parent
    return source_digest(*PICTURE_MAKERS, *here.glob("*.py"), *(here.parent / "cameras").glob("*.py"))


def _how(settings: NerfSettings) -> tuple[str | int, ...]:
    """Settings that a row depends on."""
    numbers = (settings.views, settings.held_views, settings.size, settings.kept_points)
    return (*numbers, repr(settings.extent), repr(settings.agreement), settings.opacity, settings.up, settings.place)


def _share(counts: tuple[int, int], settings: NerfSettings, trained: bool) -> tuple[int, int]:
    """Number of training and held-out views of an object, from its number of views and of test views."""
    every, tests = counts
    most = every // HELD_PART if trained else max(every // HELD_PART, every - settings.views)
    held = min(settings.held_views, tests or most)
    return min(settings.views, every if tests else every - held), held
