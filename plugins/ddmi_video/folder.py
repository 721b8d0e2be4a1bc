"""The data source `folder`: clips of the videos of a folder or zip archive, and single video files."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ddmi_core.api import Split
from ddmi_core.errors import DataError, counted
from ddmi_core.parts import (
    PICTURE_MAKERS,
    Change,
    Decoded,
    Decoding,
    Entry,
    FolderSource,
    GridSet,
    GridSignal,
    account,
    choose,
    data_warning,
    given_file,
    mirroring,
    required_location,
    source_digest,
)
from ddmi_video.reading.clips import Clip, VideoSource, count_clips, find_videos, read_clip, suffixes, video_of
from ddmi_video.reading.display_orientation import Pixels
from ddmi_video.reading.limits import TooShortError
from ddmi_video.reading.worker_process import ClipReader, clip_reader
from ddmi_video.settings import VideoSettings

log = logging.getLogger(__name__)

READING = Path(__file__).with_name("reading")
MODULES = ("frame_colours", "frames", "frame_folder", "centre_crop")
MAKERS = (*PICTURE_MAKERS, *(READING / f"{name}.py" for name in MODULES))

Changes = dict[str, tuple[Change, ...]]  # of each video


def load(location: Path | None, settings: VideoSettings) -> Split:
    """Clips of the videos of a folder or zip archive; some videos are held out by a stable hash of their names.

    Each video, or folder of frames, is cut by time stamps into consecutive clips of `settings.frames` frames at
    `settings.rate` per second: `dogs/a.mp4@1.500s`. Frames are cropped to their central square and resized to
    `settings.size`. If all videos are in two or more sub-folders, these are the classes. If every video has a text file
    beside it (`a.txt` for `a.mp4`), its lines are the captions. Clips whose captions mention left or right are not
    mirrored.

    Raises:
        DataError: if there is no location, nothing usable in it, or (with `settings.strict`) any file that cannot be
            used.
        PluginError: if the back end is not installed.
    """
    whole = load_all(location, settings)
    return whole.split(settings.held_out, [video_of(name) for name in whole.names])


def load_all(location: Path | None, settings: VideoSettings, *, short: bool = False) -> GridSet:
    """All usable clips of a folder or zip archive.

    Args:
        location: folder or archive.
        settings: of the domain.
        short: skip videos that are shorter than a clip, whatever `settings.strict` says.

    Raises:
        DataError, PluginError: as `load`.
    """
    location = required_location(location, "videos")
    folder = FolderSource(location, "videos", suffixes(), settings.strict, settings.classes)
    sources = find_videos(location)
    with clip_reader(location, sources, settings) as reader:
        clips, changes = _count(reader, folder, sources, short)
        clips = [clips[i] for i in choose([clip.name(settings) for clip in clips], settings.limit)]
        pixels, kept = _decode(reader, folder, sources, clips, settings, changes)
    found = folder.labels([clips[i].video for i in kept])
    return GridSet(
        [pixels],
        [clips[i].name(settings) for i in kept],
        rows=kept,
        classes=found.classes,
        labels=found.labels,
        augment=mirroring([settings.augment and may for may in found.mirrorable]),
        captions=found.captions,
    )


def read(path: Path, settings: VideoSettings) -> GridSignal:
    """The first clip of a video file as a signal with B = 1.

    Raises:
        DataError: if the file is missing, cannot be used, or is shorter than a clip.
        PluginError: if the back end is not installed.
    """
    source = VideoSource(str(path), (given_file(path, "video file"),))
    with source.opened(settings) as video:
        count_clips(video, source.name, settings)
        clip, _ = read_clip(video, 0, settings)
    return GridSet([clip[None]], [path.name]).batch([0])


def _count(
    reader: ClipReader, folder: FolderSource, sources: Sequence[VideoSource], short: bool
) -> tuple[list[Clip], Changes]:
    """All clips of the videos in order, and the changes of each video; warns of each file whose end is missing."""
    changes: Changes = {}
    counts = reader.counts(source.name for source in sources)
    reason = "as each is too short or damaged"

    def next_count(source: VideoSource) -> int:
        count = next(counts)
        if isinstance(count, TooShortError) and short:
            account().leave_out(folder.location, source.name, "shorter than a clip")
            return 0
        if isinstance(count, DataError):
            raise count
        if count.missing:
            data_warning(f"{source.name}: its end is missing: {count.missing}; the clips before are taken")
        changes[source.name] = count.changes
        return count.clips

    usable, lengths = folder.usable(sources, next_count, reason)
    if 0 in lengths:
        log.info("%s: %s shorter than a clip", folder.location, counted(lengths.count(0), "video"))
    clips = [Clip(source.name, i) for source, length in zip(usable, lengths, strict=True) for i in range(length)]
    if not clips:
        raise folder.nothing_usable(f"videos ({len(sources)})", reason)
    return clips, changes


def _decode(
    reader: ClipReader,
    folder: FolderSource,
    sources: Sequence[VideoSource],
    clips: Sequence[Clip],
    settings: VideoSettings,
    changes: Changes,
) -> tuple[Pixels, list[int]]:
    """Clips `(M, 3, T, size, size)`, and the indices of those that could be decoded."""
    shape = (3, *settings.native)
    files = {source.name: (source.stamp, source.entries[0].reader) for source in sources}
    entries = [Entry(clip.name(settings), *files[clip.video]) for clip in clips]
    outcomes = zip(clips, reader.clips(clips), strict=True)

    def read_next(entry: Entry) -> Decoded:
        # workers read ahead, in the order of the entries
        clip, outcome = next(outcomes)
        if clip.name(settings) != entry.name:
            raise RuntimeError(f"{entry.name} was requested, but {clip.name(settings)} is next")
        if isinstance(outcome, DataError):
            raise outcome
        return Decoded(outcome.row, (*changes[clip.video], *outcome.changes))

    frames = (settings.frames, settings.size, settings.rate.hex(), settings.reader)
    key = ("video", source_digest(*MAKERS), *frames, settings.background, settings.white.hex())
    rows, kept = folder.decode(
        entries,
        Decoding(int(np.prod(shape)), np.dtype(np.uint8), read_next, key),
        unusable=lambda problems: _unusable_videos([entry.name for entry in entries], problems),
        total=f"videos ({len(sources)})",
    )
    return rows.reshape(len(clips), *shape), kept


def _unusable_videos(names: Sequence[str], problems: dict[str, str]) -> dict[str, str]:
    """Videos with a damaged clip, with the first problem; those with only a damaged end give a warning instead."""
    videos: dict[str, list[str]] = {}
    for name in names:
        videos.setdefault(video_of(name), []).append(name)
    unusable = {}
    for video, clips in videos.items():
        bad = [clip in problems for clip in clips]
        if not any(bad):
            continue
        good = bad.index(True)
        first = problems[clips[good]]
        if good and all(bad[good:]):
            data_warning(f"{first}; its first {counted(good, 'clip')} before are taken")
        else:
            unusable[video] = first
    return unusable
