"""Videos from a folder or zip archive as a split of clips and, for one file, its first clip as a signal."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from ddmi_core.api import Split
from ddmi_core.errors import DataError, counted
from ddmi_core.parts import (
    Decoding,
    Entry,
    GridSet,
    GridSignal,
    choose,
    decode_files,
    report_unusable,
)
from ddmi_video.reading.limits import TooShortError
from ddmi_video.reading.posture import Pixels
from ddmi_video.reading.sets import clip_set
from ddmi_video.reading.sources import ClipSource, count_clips, find_sources, read_clip
from ddmi_video.reading.video import Video
from ddmi_video.reading.work import Counted, Crew, Job, crew
from ddmi_video.settings import VideoSettings

log = logging.getLogger(__name__)


def load(location: Path | None, settings: VideoSettings) -> Split:
    """Clips of the videos of a folder or zip archive; some videos are held out by a stable hash of their names.

    Each video, or folder of frames, gives consecutive clips of `settings.frames` frames at `settings.rate` a second,
    cut by time stamps: `dogs/a.mp4@1.500s`. Frames are cropped to their central square and reduced to
    `settings.size`. If all videos lie in two or more sub-folders, these are the classes. A video's captions are the
    lines of the text file beside it (`a.txt` for `a.mp4`), if all have one.

    Raises:
        DataError: if there is no location, nothing usable in it, or (with `settings.strict`) any file that cannot be
            used.
        PluginError: if the back end is not installed.
    """
    whole = load_all(location, settings)
    return whole.split(settings.held_out, [source_of(name) for name in whole.names])


def source_of(name: str) -> str:
    """The video of a clip, from the clip's name."""
    return name.rpartition("@")[0]


def load_all(location: Path | None, settings: VideoSettings, *, short: bool = False) -> GridSet:
    """All usable clips of a folder or zip archive.

    Args:
        location: folder or archive.
        settings: of the domain.
        short: pass over videos that are shorter than a clip, whatever `settings.strict` says.

    Raises:
        DataError, PluginError: as `load`.
    """
    if location is None:
        raise DataError("the source 'folder' needs a folder or zip archive of videos: --data PATH")
    sources = find_sources(location)
    with crew(location, sources, settings) as do:
        jobs = _count(do, location, sources, settings, short)
        jobs = [jobs[i] for i in choose([_name(job, settings) for job in jobs], settings.limit)]
        clips, problems = _decode(do, location, sources, jobs, settings)
    _report(location, jobs, problems, settings)
    rows = [row for row, job in enumerate(jobs) if _name(job, settings) not in problems]
    if not rows:
        raise DataError(f"{location}: none of its videos ({len(sources)}) can be used")
    names, videos = [_name(jobs[row], settings) for row in rows], [jobs[row].source for row in rows]
    return clip_set(location, clips, rows, names, videos, settings)


def read(path: Path, settings: VideoSettings) -> GridSignal:
    """The first clip of a video file as a signal with B = 1.

    Raises:
        DataError: if the file is missing, cannot be used, or is shorter than a clip.
        PluginError: if the back end is not installed.
    """
    if not path.is_file():
        raise DataError(f"{path}: {'a folder, not a video file' if path.is_dir() else 'no such file'}")
    with Video(path, backend=settings.reader) as video:
        count_clips(video, str(path), settings)
        clip = read_clip(video, 0, settings)
    return GridSet([clip[None]], [path.name]).batch([0])


def _name(job: Job, settings: VideoSettings) -> str:
    """The name of a clip: its video, and the second at which it begins."""
    assert job.clip is not None
    return f"{job.source}@{job.clip * settings.frames / settings.rate:.3f}s"


def _count(do: Crew, location: Path, sources: Sequence[ClipSource], settings: VideoSettings, short: bool) -> list[Job]:
    """All clips of the sources, in order, with warnings about files whose end is missing."""
    clips, problems, passed = [], {}, 0
    for job, outcome in do(Job(source.name) for source in sources):
        if isinstance(outcome, TooShortError) and short:
            passed += 1
        elif isinstance(outcome, DataError):
            problems[job.source] = str(outcome)
        elif isinstance(outcome, Counted):
            if outcome.missing:
                log.warning("%s: its end is missing: %s; the clips before are taken", job.source, outcome.missing)
            clips += [Job(job.source, number) for number in range(outcome.clips)]
    if passed:
        log.info("%s: %s shorter than a clip", location, counted(passed, "video"))
    report_unusable(location, problems, settings.strict)
    if not clips:
        raise DataError(f"{location}: none of its videos ({len(sources)}) can be used, as each is too short or damaged")
    return clips


def _decode(
    do: Crew, location: Path, sources: Sequence[ClipSource], jobs: Sequence[Job], settings: VideoSettings
) -> tuple[Pixels, dict[str, str]]:
    """Clips `(M, 3, T, size, size)`, and what is wrong with those that cannot be decoded, by name."""
    shape = (3, *settings.native)
    files = {source.name: (source.stamp, source.entries[0].reader) for source in sources}
    entries = [Entry(_name(job, settings), *files[job.source]) for job in jobs]
    outcomes = do(jobs)

    def read_next(entry: Entry) -> Pixels:
        # the workers read ahead, in the order of the entries
        job, outcome = next(outcomes)
        if _name(job, settings) != entry.name:
            raise RuntimeError(f"{entry.name} was asked for, but {_name(job, settings)} comes next")
        if isinstance(outcome, DataError):
            raise outcome
        assert isinstance(outcome, np.ndarray)
        return outcome.reshape(-1)

    key = ("video", settings.frames, settings.size, settings.rate.hex(), settings.reader)
    how = Decoding(int(np.prod(shape)), np.dtype(np.uint8), read_next, key)
    rows, problems = decode_files(location, entries, how)
    return rows.reshape(len(jobs), *shape), problems


def _report(location: Path, jobs: Sequence[Job], problems: dict[str, str], settings: VideoSettings) -> None:
    """Warn about videos whose last clips cannot be decoded; treat others as files that cannot be used."""
    unusable = {}
    for source, names in _by_source(jobs, settings):
        bad = [name in problems for name in names]
        if not any(bad):
            continue
        first = problems[names[bad.index(True)]]
        good = bad.index(True)
        if good and all(bad[good:]):
            log.warning("%s; its first %s before are taken", first, counted(good, "clip"))
        else:
            unusable[source] = first
    report_unusable(location, unusable, settings.strict)


def _by_source(jobs: Sequence[Job], settings: VideoSettings) -> Iterator[tuple[str, list[str]]]:
    """Sources with the names of their clips, in order."""
    groups: dict[str, list[str]] = {}
    for job in jobs:
        groups.setdefault(job.source, []).append(_name(job, settings))
    yield from groups.items()
