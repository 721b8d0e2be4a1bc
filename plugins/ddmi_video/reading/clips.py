"""What clips are cut from: video files, and folders of frames, below a folder or in an archive."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

import numpy as np
from attrs import frozen

from ddmi_core.parts import Entry, find_files
from ddmi_video.reading import pictures
from ddmi_video.reading.limits import TooShortError
from ddmi_video.reading.pictures import FrameFolder
from ddmi_video.reading.posture import Pixels
from ddmi_video.reading.video import Video
from ddmi_video.settings import VideoSettings

SUFFIXES = (".mp4", ".m4v", ".webm", ".mov", ".mkv", ".avi", ".gif")
DUE = 1e-6  # seconds by which the last frame of a clip must come before the end


@frozen
class ClipSource:
    """A video file, or a folder of frames: one or more files."""

    name: str
    entries: tuple[Entry, ...]
    pictures: bool = False

    @property
    def stamp(self) -> str:
        """Changes when a file changes."""
        stamps = "\n".join(f"{entry.name} {entry.stamp}" for entry in self.entries)
        return hashlib.sha256(stamps.encode()).hexdigest()[:16]

    @contextmanager
    def opened(self, settings: VideoSettings) -> Iterator[Video | FrameFolder]:
        """The open video.

        Raises:
            DataError: if it cannot be used.
        """
        if self.pictures:
            yield FrameFolder(self.entries, self.name, settings.rate)
            return
        with self.entries[0].opened() as file, Video(file, self.name, settings.reader) as video:
            yield video


def find_sources(location: Path) -> list[ClipSource]:
    """Video files and folders of frames below a folder or in a zip archive, sorted by name.

    Pictures beside videos are passed over: they are covers and thumbnails.

    Raises:
        DataError: if there is no location, or nothing in it.
    """
    entries = find_files(location, (*SUFFIXES, *pictures.SUFFIXES), "videos")
    videos = [entry for entry in entries if PurePosixPath(entry.name).suffix.lower() in SUFFIXES]
    taken = {PurePosixPath(entry.name).parent for entry in videos}
    folders: dict[PurePosixPath, list[Entry]] = {}
    for entry in entries:
        place = PurePosixPath(entry.name)
        if place.suffix.lower() in pictures.SUFFIXES and place.parent not in taken:
            folders.setdefault(place.parent, []).append(entry)
    found = [ClipSource(entry.name, (entry,)) for entry in videos]
    for folder, frames in folders.items():
        name = str(folder) if folder.parts else location.stem
        found.append(ClipSource(name, tuple(frames), pictures=True))
    return sorted(found, key=lambda source: source.name)


def count_clips(video: Video | FrameFolder, name: str, settings: VideoSettings) -> int:
    """How many clips a video has; the last wanted frame of each is shown before its end.

    Raises:
        TooShortError: if it is shorter than one clip.
    """
    length = settings.frames / settings.rate
    last = (settings.frames - 1) / settings.rate
    count = int((video.duration - last - DUE) // length + 1)
    if count < 1:
        raise TooShortError(
            f"{name}: {video.duration:.3f} s is shorter than a clip of {settings.frames} frames at {settings.rate:g} a "
            f"second, {length:.3f} s{f'; its end is missing: {video.missing}' if video.missing else ''}. Remove it, or "
            "take shorter clips: --set domain.frames=N or domain.rate=N"
        )
    return count


def read_clip(video: Video | FrameFolder, number: int, settings: VideoSettings) -> Pixels:
    """A clip `(3, T, size, size)`.

    Args:
        video: open.
        number: of the clip in the video, from 0.
        settings: of the domain.

    Raises:
        DataError: if it cannot be decoded.
    """
    times = (number * settings.frames + np.arange(settings.frames)) / settings.rate
    return np.ascontiguousarray(video.frames_at(times, settings.size).swapaxes(0, 1))
