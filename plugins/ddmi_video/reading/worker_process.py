"""Counting and reading clips in this process, or in several with at most one clip in flight in each."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import TypeAlias

from attrs import frozen

from ddmi_core.errors import DataError, RequestError
from ddmi_video.reading.pictures import FrameFolder
from ddmi_video.reading.posture import Pixels
from ddmi_video.reading.sources import ClipSource, count_clips, find_sources, read_clip
from ddmi_video.reading.video import Video
from ddmi_video.settings import VideoSettings


@frozen
class Job:
    """One clip to read, or all clips of a source to count."""

    source: str
    clip: int | None = None  # number of the clip; `None` to count


@frozen
class Counted:
    """What a source has."""

    clips: int
    missing: str  # as `Video.missing`


Outcome: TypeAlias = Counted | Pixels | DataError
Crew: TypeAlias = Callable[[Iterable[Job]], Iterator[tuple[Job, Outcome]]]


class Reader:
    """Does jobs one by one, and keeps the last source open: clips of one video are read on without a seek.

    Args:
        sources: where jobs find theirs.
        settings: of the domain.
    """

    def __init__(self, sources: Iterable[ClipSource], settings: VideoSettings) -> None:
        self.sources, self.settings = {source.name: source for source in sources}, settings
        self.held = ExitStack()
        self.name = ""
        self.video: Video | FrameFolder | None = None

    def do(self, job: Job) -> Outcome:
        """The outcome of a job; what is wrong with the file is an outcome too."""
        try:
            video = self._opened(job.source)
            if job.clip is None:
                return Counted(count_clips(video, job.source, self.settings), video.missing)
            return read_clip(video, job.clip, self.settings)
        except DataError as error:
            return error

    def close(self) -> None:
        """Close the source that is open."""
        self.held.close()
        self.video = None

    def _opened(self, name: str) -> Video | FrameFolder:
        if self.video is None or self.name != name:
            self.close()
            self.name, self.video = name, self.held.enter_context(self.sources[name].opened(self.settings))
        return self.video


@contextmanager
def crew(location: Path, sources: Iterable[ClipSource], settings: VideoSettings) -> Iterator[Crew]:
    """Who does jobs: a function that gives each job with its outcome, in order.

    Neighbouring jobs had better be of one source. The function raises `RequestError` if a process dies.

    Args:
        location: folder or archive; processes find the sources there themselves.
        sources: what lies there.
        settings: `workers` says how many processes there are; 0 is this one.
    """
    if not settings.workers:
        reader = Reader(sources, settings)
        try:
            yield lambda jobs: ((job, reader.do(job)) for job in jobs)
        finally:
            reader.close()
        return
    # fresh processes: a copy of one in which torch has started its threads may hang
    with ProcessPoolExecutor(settings.workers, get_context("spawn"), _begin, (location, settings)) as pool:
        yield lambda jobs: _in_flight(jobs, pool, settings.workers)


def _in_flight(jobs: Iterable[Job], pool: ProcessPoolExecutor, most: int) -> Iterator[tuple[Job, Outcome]]:
    """Jobs with their outcomes, while at most some are under way or wait to be taken."""
    flying: deque[tuple[Job, Future[Outcome]]] = deque()
    try:
        for job in jobs:
            if len(flying) == most:
                yield _finished(*flying.popleft())
            flying.append((job, pool.submit(_do, job)))
        while flying:
            yield _finished(*flying.popleft())
    finally:
        for _, future in flying:
            future.cancel()


_reader: Reader | None = None  # of a worker process


def _begin(location: Path, settings: VideoSettings) -> None:
    global _reader
    _reader = Reader(find_sources(location), settings)


def _do(job: Job) -> Outcome:
    assert _reader is not None
    return _reader.do(job)


def _finished(job: Job, future: Future[Outcome]) -> tuple[Job, Outcome]:
    try:
        return job, future.result()
    except BrokenProcessPool as error:
        raise RequestError(
            f"{job.source}: a process that reads videos died, at this file or one near it; see which with "
            "--set domain.workers=0, or try --set domain.reader=pyav. A program that calls the library needs "
            "`if __name__ == '__main__':` around its work"
        ) from error
