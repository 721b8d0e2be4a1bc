"""What long work is doing: its loops report to the listener of a program, if there is one.

A loop says what it does with `tracked`, or `doing` if its items are not of one size. Parts nest: the sampling steps of
a batch are a part of the samples of an evaluation. Nothing is passed through the functions between, and without a
listener a report costs nothing. Listeners belong to a context (`contextvars`): threads have none.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import pairwise
from statistics import median
from typing import Protocol, TypeVar

Item = TypeVar("Item")

RECENT = 50  # reports from which the pace is taken


class Pace:
    """Time of a step, as the median of recent steps: the first ones, which are slow, do not count for long."""

    def __init__(self) -> None:
        self._marks: deque[tuple[float, float]] = deque(maxlen=RECENT + 1)

    def mark(self, done: float, now: float) -> None:
        """At the time `now`, in seconds, `done` steps are finished."""
        self._marks.append((done, now))

    def seconds(self) -> float | None:
        """Seconds of a step; `None` until one has been finished."""
        spans = [(later - before, end - start) for (before, start), (later, end) in pairwise(self._marks)]
        each = [span / steps for steps, span in spans if steps > 0]
        return median(each) if each else None

    def left(self, steps: float) -> float | None:
        """Seconds that so many more steps take; `None` as long as nothing tells it."""
        each = self.seconds() if steps > 0 else 0.0
        return None if each is None else each * max(0.0, steps)


class Part:
    """A part of the work that has begun.

    Args:
        what: is done.
        total: number of items; 0 if it is not known.
    """

    def __init__(self, what: str, total: int = 0) -> None:
        self.what, self.total, self.done = what, total, 0
        self.began = time.monotonic()
        self._pace = Pace()
        self._pace.mark(0, self.began)

    def advance(self, items: int = 1) -> None:
        """So many more items are done."""
        self.done += items
        self._pace.mark(self.done, time.monotonic())
        _changed()

    @property
    def seconds_left(self) -> float | None:
        """The time that the other items will take; `None` if there are none, and as long as nothing tells it."""
        return self._pace.left(self.total - self.done) if self.done < self.total else None


class Listener(Protocol):
    """Shows what is being done."""

    def changed(self, parts: Sequence[Part]) -> None:
        """The parts of the work that have begun and not ended, each within the one before; none at the end."""


class _Work:
    """The parts of one context, and who listens."""

    def __init__(self, listener: Listener) -> None:
        self.listener, self.parts = listener, list[Part]()


_WORK: ContextVar[_Work | None] = ContextVar("work", default=None)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Report the work of the block to a listener, in place of an outer one."""
    token = _WORK.set(_Work(listener))
    try:
        yield
    finally:
        _WORK.reset(token)


@contextmanager
def doing(what: str, total: int = 0) -> Iterator[Part]:
    """Report the work of the block as a part, whose items the block counts by `Part.advance`."""
    part, work = Part(what, total), _WORK.get()
    if work is None:
        yield part
        return
    work.parts.append(part)
    work.listener.changed(work.parts)
    try:
        yield part
    finally:
        work.parts.remove(part)  # a generator may end after what began later
        work.listener.changed(work.parts)


def tracked(what: str, items: Iterable[Item], total: int = 0) -> Iterator[Item]:
    """Iterate over items, and report each as done when the next one is asked for.

    Args:
        what: is done.
        items: of one size, about.
        total: number of items, if `len` does not tell it.

    Example:
        >>> class Printing:
        ...     def changed(self, parts):
        ...         print([f"{part.what} {part.done}/{part.total}" for part in parts])
        >>> with listening(Printing()):
        ...     for number in tracked("squares", range(2)):
        ...         square = number * number
        ['squares 0/2']
        ['squares 1/2']
        ['squares 2/2']
        []
    """
    with doing(what, total or (len(items) if isinstance(items, Sequence | set | dict) else 0)) as part:
        for item in items:
            yield item
            part.advance()


def duration(seconds: float) -> str:
    """A duration as approximate text."""
    if seconds < 90:
        return f"about {max(1, round(seconds))} s"
    return f"about {seconds / 60:.0f} min" if seconds < 90 * 60 else f"about {seconds / 3600:.1f} h"


def _changed() -> None:
    if (work := _WORK.get()) is not None:
        work.listener.changed(work.parts)
