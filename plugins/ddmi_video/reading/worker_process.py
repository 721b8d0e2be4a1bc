"""Counting and decoding of clips, in this process or in worker processes with one clip in flight each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

from attrs import frozen

from ddmi_core.errors import DataError, RequestError
from ddmi_core.parts import Change, Decoded
from ddmi_video.reading.clips import Clip, VideoSource, changes_of, count_clips, find_videos, read_clip
from ddmi_video.reading.frame_folder import FrameFolder
from ddmi_video.reading.video import Video
from ddmi_video.settings import VideoSettings

Job = TypeVar("Job", str, Clip)
Result = TypeVar("Result")


@frozen
class ClipCount:
    """How many clips a video has."""

    clips: int
    missing: str  # see `Video.missing`
    changes: tuple[Change, ...] = ()  # by the reader


class ClipReader(ABC):
    """Counts and reads clips; the error of an unusable file is returned instead of raised.

    Both methods are faster if neighbouring jobs belong to the same video. They raise `RequestError` if a worker dies.
    """

    @abstractmethod
    def counts(self, videos: Iterable[str]) -> Iterator[ClipCount | DataError]:
        """The number of clips of each video, in order."""

    @abstractmethod
    def clips(self, clips: Iterable[Clip]) -> Iterator[Decoded | DataError]:
        """Each clip, flat, with what was done to single frames of a folder; in order."""


class LocalReader(ClipReader):
    """Reads clips in this process, and keeps the last video open, so that its clips need no seek.

    Args:
        sources: the videos.
        settings: of the domain.
    """

    def __init__(self, sources: Iterable[VideoSource], settings: VideoSettings) -> None:
        self.sources, self.settings = {source.name: source for source in sources}, settings
        self.held = ExitStack()
        self.name = ""
        self.video: Video | FrameFolder | None = None

    def counts(self, videos: Iterable[str]) -> Iterator[ClipCount | DataError]:
        """See `ClipReader`."""
        return map(self.count, videos)

    def clips(self, clips: Iterable[Clip]) -> Iterator[Decoded | DataError]:
        """See `ClipReader`."""
        return map(self.read, clips)

    def count(self, name: str) -> ClipCount | DataError:
        """The number of clips of one video."""
        try:
            video = self._opened(name)
            count = count_clips(video, name, self.settings)
            return ClipCount(count, video.missing, changes_of(video, self.settings))
        except DataError as error:
            return error

    def read(self, clip: Clip) -> Decoded | DataError:
        """One clip, see `clips`."""
        try:
            pixels, changes = read_clip(self._opened(clip.video), clip.number, self.settings)
            return Decoded(pixels.reshape(-1), changes)
        except DataError as error:
            return error

    def close(self) -> None:
        """Close the open video."""
        self.held.close()
        self.video = None

    def _opened(self, name: str) -> Video | FrameFolder:
        if self.video is None or self.name != name:
            self.close()
            self.name, self.video = name, self.held.enter_context(self.sources[name].opened(self.settings))
        return self.video


class PooledReader(ClipReader):
    """Reads clips in worker processes.

    Args:
        pool: processes that `_start` has prepared.
        workers: how many there are.
    """

    def __init__(self, pool: ProcessPoolExecutor, workers: int) -> None:
        self.pool, self.workers = pool, workers

    def counts(self, videos: Iterable[str]) -> Iterator[ClipCount | DataError]:
        """See `ClipReader`."""
        return self._in_flight(_count, videos)

    def clips(self, clips: Iterable[Clip]) -> Iterator[Decoded | DataError]:
        """See `ClipReader`."""
        return self._in_flight(_read, clips)

    def _in_flight(self, work: Callable[[Job], Result], jobs: Iterable[Job]) -> Iterator[Result]:
        """Results in order, with at most one job per worker running or waiting to be fetched."""
        flying: deque[tuple[Job, Future[Result]]] = deque()
        try:
            for job in jobs:
                if len(flying) == self.workers:
                    yield _finished(*flying.popleft())
                flying.append((job, self.pool.submit(work, job)))
            while flying:
                yield _finished(*flying.popleft())
        finally:
            for _, future in flying:
                future.cancel()


@contextmanager
def clip_reader(location: Path, sources: Iterable[VideoSource], settings: VideoSettings) -> Iterator[ClipReader]:
    """A reader of the clips of a folder or archive.

    Args:
        location: folder or archive, in which worker processes find the videos themselves.
        sources: the videos in it.
        settings: `workers` is the number of processes; 0 reads in this one.
    """
    if not settings.workers:
        reader = LocalReader(sources, settings)
        try:
            yield reader
        finally:
            reader.close()
        return
    # spawned processes: a fork of a process in which torch has started threads may hang
    with ProcessPoolExecutor(settings.workers, get_context("spawn"), _start, (location, settings)) as pool:
        yield PooledReader(pool, settings.workers)


_worker: list[LocalReader] = []  # the reader of a worker process


def _start(location: Path, settings: VideoSettings) -> None:
    _worker[:] = [LocalReader(find_videos(location), settings)]


def _count(name: str) -> ClipCount | DataError:
    return _worker[0].count(name)


def _read(clip: Clip) -> Decoded | DataError:
    return _worker[0].read(clip)


def _finished(job: str | Clip, future: Future[Result]) -> Result:
    try:
        return future.result()
    except BrokenProcessPool as error:
        name = job if isinstance(job, str) else job.video
        raise RequestError(
            f"{name}: a process that reads videos died, at this file or one near it; see which with "
            "--set domain.workers=0, or try --set domain.reader=pyav. A program that calls the library needs "
            "`if __name__ == '__main__':` around its work"
        ) from error
