"""Finding video files and folders of frames, and cutting them into clips of constant length."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

import numpy as np
from attrs import frozen

from ddmi_core.parts import Change, Entry, account, changes_of_pictures, find_files, picture_suffixes
from ddmi_video.reading.display_orientation import Pixels
from ddmi_video.reading.frame_folder import FrameFolder
from ddmi_video.reading.limits import TooShortError
from ddmi_video.reading.video import Video
from ddmi_video.settings import VideoSettings

VIDEO_SUFFIXES = (
    *(".mp4", ".m4v", ".webm", ".mov", ".mkv", ".avi", ".gif", ".3gp", ".flv", ".wmv"),
    *(".ts", ".mts", ".m2ts", ".mpg", ".mpeg", ".vob", ".mxf", ".asf", ".f4v", ".3g2", ".ogv", ".y4m"),
)
BESIDE = "picture beside videos"
DUE = 1e-6  # seconds; the last frame of a clip has to start this long before the end


@frozen
class VideoSource:
    """A video file, or a folder of frames, which has several files."""

    name: str
    entries: tuple[Entry, ...]
    pictures: bool = False

    @property
    def stamp(self) -> str:
        """Changes when one of the files changes."""
        stamps = "\n".join(f"{entry.name} {entry.stamp}" for entry in self.entries)
        return hashlib.sha256(stamps.encode("utf-8", "surrogatepass")).hexdigest()[:16]

    @contextmanager
    def opened(self, settings: VideoSettings) -> Iterator[Video | FrameFolder]:
        """The open video.

        Raises:
            DataError: if it cannot be used.
        """
        if self.pictures:
            yield FrameFolder(self.entries, self.name, settings.rate, settings.background)
            return
        with (
            self.entries[0].opened() as file,
            Video(file, self.name, settings.reader, settings.look) as video,
        ):
            yield video


@frozen
class Clip:
    """One clip of a video."""

    video: str  # name of the video's source
    number: int  # from 0

    def name(self, settings: VideoSettings) -> str:
        """The video and the time at which the clip starts: `dogs/a.mp4@1.500s`."""
        return f"{self.video}@{self.number * settings.frames / settings.rate:.3f}s"


def video_of(name: str) -> str:
    """The name of the video from the name of a clip."""
    return name.rpartition("@")[0]


def suffixes() -> tuple[str, ...]:
    """Suffixes of videos, and of pictures that may be frames."""
    return (*VIDEO_SUFFIXES, *(suffix for suffix in picture_suffixes() if suffix not in VIDEO_SUFFIXES))


def find_videos(location: Path) -> list[VideoSource]:
    """Video files and folders of frames in a folder or zip archive, sorted by name.

    Pictures beside video files are ignored, as they are covers and thumbnails.

    Raises:
        DataError: if the location is missing, or has no such file.
    """
    entries = find_files(location, suffixes(), "videos")
    videos = [entry for entry in entries if PurePosixPath(entry.name).suffix.lower() in VIDEO_SUFFIXES]
    taken = {PurePosixPath(entry.name).parent for entry in videos}
    folders: dict[PurePosixPath, list[Entry]] = {}
    for entry in entries:
        place = PurePosixPath(entry.name)
        if place.suffix.lower() in VIDEO_SUFFIXES:
            continue
        if place.parent in taken:
            account().leave_out(location, entry.name, BESIDE)
        else:
            folders.setdefault(place.parent, []).append(entry)
    found = [VideoSource(entry.name, (entry,)) for entry in videos]
    for folder, frames in folders.items():
        account().take(location, (frame.name for frame in frames), "frames of videos")
        name = str(folder) if folder.parts else location.stem
        found.append(VideoSource(name, tuple(frames), pictures=True))
    return sorted(found, key=lambda source: source.name)


def count_clips(video: Video | FrameFolder, name: str, settings: VideoSettings) -> int:
    """The number of whole clips in a video.

    Raises:
        TooShortError: if it is shorter than one clip.
    """
    length = settings.frames / settings.rate
    last = (settings.frames - 1) / settings.rate
    count = int((video.duration - last - DUE) // length + 1)
    if count < 1:
        raise TooShortError(
            f"{name}: {video.duration:.3f} s is shorter than a clip of {settings.frames} frames at {settings.rate:g} a "
            f"second, {length:.3f} s{f'; its end is missing: {video.missing}' if video.missing else ''}. "
            f"{'Add frames' if isinstance(video, FrameFolder) else 'Remove it'}, or take shorter clips: --set "
            "domain.frames=N or domain.rate=N"
        )
    return count


def changes_of(video: Video | FrameFolder, settings: VideoSettings) -> tuple[Change, ...]:
    """What reading does to the frames of a video; of a folder of frames, what is the same for all of them."""
    if isinstance(video, FrameFolder):
        height, width = video.upright_size()
        return tuple(_of_shape(width, height, 1.0, settings))
    index, orientation, (height, width) = video.index, video.index.orientation, video.size
    changes = [
        Change(f"taken at {settings.rate:g} frames a second", len(video.times) / video.duration, "before"),
        *index.colours.changes(settings.look),
    ]
    if index.interlaced:
        changes.append(Change("deinterlaced"))
    if index.others:
        values = {"stream": index.stream}
        changes.append(Change("read from the default stream of pictures alone", index.others, "others", values))
    if orientation.turns or orientation.mirrored:
        values = {"quarter_turns": orientation.turns, "mirrored": orientation.mirrored}
        changes.append(Change("turned upright by their display matrix", values=values))
    if orientation.aspect != 1:
        changes.append(Change("stretched to square pixels", orientation.aspect, "times"))
    return (*changes, *_of_shape(width, height, orientation.aspect, settings))


def _of_shape(width: int, height: int, aspect: float, settings: VideoSettings) -> Iterator[Change]:
    """What `centre_crop` does to upright frames."""
    shown = (width * aspect, height)
    if shown[0] != shown[1]:
        cut = 1 - min(shown) / max(shown)
        yield Change("cut to the central square", cut, "of the area", {"size": [width, height]})
    scale = min(shown) / settings.size
    if scale != 1:
        amount, what = (scale, "reduced in size") if scale > 1 else (1 / scale, "enlarged")
        yield Change(what, amount, "times", {"size": [width, height]})


def read_clip(video: Video | FrameFolder, number: int, settings: VideoSettings) -> tuple[Pixels, tuple[Change, ...]]:
    """Read one clip: `(3, T, size, size)`, and what was done to single frames of a folder.

    Args:
        video: open.
        number: of the clip in the video, from 0.
        settings: of the domain.

    Raises:
        DataError: if it cannot be decoded.
    """
    times = (number * settings.frames + np.arange(settings.frames)) / settings.rate
    pixels = np.ascontiguousarray(video.frames_at(times, settings.size).swapaxes(0, 1))
    changes = changes_of_pictures(video.changes, "frames") if isinstance(video, FrameFolder) else []
    return pixels, tuple(changes)
