"""The data source SkyTimelapse, read from its official directory layout."""

from __future__ import annotations

from pathlib import Path

from attrs import evolve

from ddmi_core.api import Split
from ddmi_core.errors import DataError
from ddmi_core.parts import default_place
from ddmi_video.folder import load_all
from ddmi_video.settings import VideoSettings

PARTS = ("sky_train", "sky_test")
TOP = "sky_timelapse"  # the top folder of the archive
HINT = (
    "SkyTimelapse comes from https://github.com/weixiong-ur/mdgan (sky_timelapse.zip). Unpack it so that {place} has "
    "sky_train/VIDEO/VIDEO_N/*.jpg and sky_test/VIDEO/VIDEO_N/*.jpg, or give its place: --data sky-timelapse:PATH"
)


def sky_timelapse(location: Path | None, settings: VideoSettings) -> Split:
    """Time-lapse skies; the official test videos are held out.

    As its authors do, each folder of frames `VIDEO/VIDEO_N` is cut into clips of consecutive frames, whatever
    `settings.rate` is. Folders with fewer frames than a clip are skipped.

    Raises:
        DataError: if the data are missing, or cannot be used.
    """
    place = location or default_place("sky-timelapse")
    top = place / TOP if (place / TOP).is_dir() else place
    missing = [str(top / part) for part in PARTS if not (top / part).is_dir()]
    if missing:
        raise DataError(f"{', '.join(missing)}: no such folder. {HINT.format(place=place)}")
    plain = evolve(settings, classes=False)
    train, held_out = (load_all(top / part, plain, short=True) for part in PARTS)
    return Split(train=train, held_out=held_out)
