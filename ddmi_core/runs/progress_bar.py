"""Progress of commands and of steps of a run: one line on a terminal, or lines of a log."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ddmi_core.progress import Part, duration, listening

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

DELAY = 2.0  # seconds of a command after which a terminal shows its work
LEAST = 0.3  # seconds of a part before it is shown, so that the line does not flicker
LONG = 30.0  # seconds after which a log has lines about a part
SPINNER = "|/-\\"  # every terminal has them
RATE = 5  # pictures of the line a second


@contextmanager
def on_terminal() -> Iterator[None]:
    """Show work of the block that takes longer than two seconds on standard error, if it is a terminal.

    In a data-parallel program, the main process alone shows it.
    """
    line = Line()
    try:
        with listening(line):
            yield
    finally:
        line.close()


class Line:
    """A line of a terminal, which vanishes with the end of the work. It imports nothing until it is shown."""

    def __init__(self) -> None:
        self._parts: tuple[Part, ...] = ()
        self._began = time.monotonic()
        self._process, self._lock = os.getpid(), threading.RLock()
        self._timer: threading.Timer | None = None
        self._live: Live | None = None

    def changed(self, parts: Sequence[Part]) -> None:
        """See `Listener`."""
        if os.getpid() != self._process:  # a fork has neither the threads nor the terminal
            return
        if not parts:
            self.close()
            return
        self._parts = tuple(parts)
        if self._timer is None:
            wait = max(LEAST, self._began + DELAY - time.monotonic())
            self._timer = threading.Timer(wait, self._show)
            self._timer.daemon = True
            self._timer.start()

    def close(self) -> None:
        """Remove the line."""
        if os.getpid() != self._process:
            return
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
            if self._live is not None:
                self._live.stop()
            self._parts, self._timer, self._live = (), None, None

    def _show(self) -> None:
        import sys

        from rich.console import Console
        from rich.live import Live

        console = Console(stderr=True)
        if not console.is_terminal or os.environ.get("RANK", "0") != "0":
            return
        with self._lock:
            if self._parts and self._live is None:
                # Lines that a command prints stay above this one; those for a pipe go there.
                self._live = Live(
                    console=console,
                    get_renderable=self._text,
                    refresh_per_second=RATE,
                    transient=True,
                    redirect_stdout=sys.stdout.isatty(),
                )
                self._live.start()

    def _text(self) -> Text:
        return line_of(self._parts)


def line_of(parts: Sequence[Part]) -> Text:
    """One line about what is being done: the time since it began, the parts with their counts, and the time left."""
    from rich.text import Text

    now = time.monotonic()
    passed = clock(now - parts[0].began) if parts else ""
    mark = SPINNER[int(now * RATE) % len(SPINNER)]
    text = f"{mark} {passed} " + ", ".join(described(parts))
    return Text(text, no_wrap=True, overflow="ellipsis")


def described(parts: Sequence[Part]) -> list[str]:
    """Each part with its count; the outermost one that can tell has the time left."""
    left = next(((part, seconds) for part in parts if (seconds := part.seconds_left) is not None), None)
    found = []
    for part in parts:
        if part.total == 1 and part is not parts[-1]:
            continue
        count = f" {part.done}/{part.total}" if part.total else ""
        end = f", {duration(left[1])} left" if left is not None and left[0] is part else ""
        found.append(f"{part.what}{count}{end}")
    return found


def clock(seconds: float) -> str:
    """A duration as minutes and seconds, `1:05`, or with hours, `2:00:05`."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class Lines:
    """Lines of a log: one per tenth of a part that takes long. Of nested parts, the outer one with a count has lines.

    Args:
        console: prints the lines.
        name: of the step.
    """

    def __init__(self, console: Console, name: str) -> None:
        self.console, self.name = console, name
        self._part: Part | None = None
        self._tenth = 0

    def changed(self, parts: Sequence[Part]) -> None:
        """See `Listener`."""
        part = next((part for part in parts if part.total), None)
        if part is not self._part:
            self._part, self._tenth = part, 0
        tenth = 10 * part.done // part.total if part else 0
        if part is None or time.monotonic() - part.began < LONG or tenth <= self._tenth:
            return
        self._tenth = tenth
        left = part.seconds_left
        end = "" if left is None else f", {duration(left)} left"
        self.console.print(f"{self.name}: {part.what} {part.done}/{part.total}{end}", highlight=False, markup=False)
