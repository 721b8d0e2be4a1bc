"""Progress of long steps: a bar with the time left on a terminal, or a line per tenth of the work."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

LONG = 30.0  # seconds after which a step without a terminal prints its progress


class Tell(Protocol):
    """Reports what a step does."""

    def __call__(self, what: str, done: int = 0, total: int = 0) -> None:
        """Report `what` is being done, and how many of `total` items are done; without a number if `total` is 0."""


def silent(what: str, done: int = 0, total: int = 0) -> None:
    """Report nothing."""


@contextmanager
def shown(console: Console, name: str) -> Iterator[Tell]:
    """Show the progress of a step.

    Args:
        console: a terminal gets a bar with the time left. Elsewhere parts of a step that take longer than half a
            minute print a line per tenth.
        name: of the step.
    """
    if not console.is_terminal:
        yield _Lines(console, name)
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(name, total=None)
        current = [""]

        def tell(what: str, done: int = 0, total: int = 0) -> None:
            if what != current[0]:
                current[0] = what
                bar.reset(task, total=total or None, description=f"{name}: {what}")  # its speed is another
            bar.update(task, completed=done, total=total or None)

        yield tell


class _Lines:
    """Prints a line per tenth of a part that takes long."""

    def __init__(self, console: Console, name: str) -> None:
        self.console, self.name, self.what = console, name, ""

    def __call__(self, what: str, done: int = 0, total: int = 0) -> None:
        now = time.monotonic()
        if what != self.what or not total:
            self.what, self.began, self.first, self.tenth = what, now, done, 0
            return
        passed, tenth = now - self.began, 10 * done // total
        if passed < LONG or tenth <= self.tenth or done == self.first:
            return
        self.tenth = tenth
        left = passed / (done - self.first) * (total - done)
        end = f", {duration(left)} left" if done < total else ""
        self.console.print(f"{self.name}: {what} {done}/{total}{end}", highlight=False, markup=False)


def duration(seconds: float) -> str:
    """A duration as approximate text."""
    if seconds < 90:
        return f"about {max(1, round(seconds))} s"
    return f"about {seconds / 60:.0f} min" if seconds < 90 * 60 else f"about {seconds / 3600:.1f} h"
