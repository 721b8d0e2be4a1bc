"""What a run shows: one live display of all its steps on a terminal, or lines of a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from attrs import define
from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ddmi_core.progress import Listener, Part, duration, listening
from ddmi_core.runs.progress_bar import RATE, SPINNER, Lines, clock, described
from ddmi_core.steps import AUTOENCODER, DENOISER, LATENTS, REPORT, SAMPLES
from ddmi_core.training.trainer import Report

PREPARATION, EVALUATION = "preparation", "evaluation"
STEPS = (PREPARATION, AUTOENCODER, LATENTS, DENOISER, SAMPLES, EVALUATION, REPORT)
TITLES = {AUTOENCODER: "stage 1 of 2: autoencoder", DENOISER: "stage 2 of 2: denoiser"}
BAR = 24  # columns of a bar
WIDE = 90  # columns of a terminal with a bar


@define(eq=False)
class _Row:
    """A step of the run."""

    name: str
    began: float = 0.0
    ended: float = 0.0
    parts: Sequence[Part] = ()
    step: int = 0  # of a stage
    steps: int = 0
    left: float | None = None
    report: Report | None = None  # the last one
    tenth: int = -1  # that a log has a line of

    @property
    def now(self) -> bool:
        return self.began > 0 == self.ended

    @property
    def counts(self) -> str:
        """What is known of its progress."""
        if self.ended:
            return clock(self.ended - self.began)
        if not self.steps:
            return ", ".join(described(self.parts)) or (clock(time.monotonic() - self.began) if self.now else "")
        end = "" if self.left is None or self.step >= self.steps else f", {duration(self.left)} left"
        return f"{self.step}/{self.steps} {self.step / self.steps:.0%}{end}"


class RunDisplay:
    """The steps of a run, as they begin and end.

    Args:
        console: a terminal gets the live display. Elsewhere each step has a line, a stage one per tenth, and parts of
            other steps that take longer than half a minute as well.
        folder: of the run, to which paths are relative.
    """

    def __init__(self, console: Console, folder: Path) -> None:
        self.console, self._folder = console, folder
        self._live = console.is_terminal and not console.quiet
        self._rows = {name: _Row(name) for name in STEPS}
        self._began = self._rows[PREPARATION].began = time.monotonic()
        self._picture = ""

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Show the display during the block; its last state stays."""
        if not self._live:
            yield
            return
        # Lines that the program prints stay above the display; those for a pipe go there.
        with Live(
            console=self.console,
            get_renderable=self._view,
            refresh_per_second=RATE,
            redirect_stdout=sys.stdout.isatty(),
        ):
            yield

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """A step other than a stage, whose work is reported by its loops."""
        if not self._live and name != PREPARATION:
            self.console.print(name, highlight=False)
        row = self._rows[name]
        row.began = row.began or time.monotonic()
        listener: Listener = _Parts(row) if self._live else Lines(self.console, name)
        with listening(listener):
            yield
        row.ended = time.monotonic()

    @contextmanager
    def stage(self, name: str, steps: int) -> Iterator[_Row]:
        """A stage of training with so many steps; `stepped` and `trained` take its progress."""
        row = self._rows[name]
        row.began, row.steps = time.monotonic(), steps
        yield row
        row.ended = time.monotonic()

    def stepped(self, row: _Row, step: int, left: float | None) -> None:
        """A stage has done a step; see `Stage.stepped`."""
        row.step, row.left = step, left

    def trained(self, row: _Row, report: Report) -> None:
        """A stage has read its losses."""
        row.report = report
        tenth = 10 * report.step // report.steps
        if self._live or tenth <= row.tenth:
            return
        row.tenth = tenth
        known = report.step < report.steps and report.seconds_left is not None
        left = f", {duration(report.seconds_left or 0)} left" if known else ""
        line = f"{row.name} {report.step}/{report.steps} loss {report.loss:.4f}, {report.machine}{left}"
        self.console.print(line, highlight=False, soft_wrap=True)

    def wrote(self, picture: Path) -> None:
        """A picture was written."""
        inside = picture.is_relative_to(self._folder)
        self._picture = str(picture.relative_to(self._folder) if inside else picture)

    def _view(self) -> Group:
        """The display now."""
        now = time.monotonic()
        wide = self.console.width >= WIDE
        table = Table.grid(padding=(0, 1))
        for _ in range(2):
            table.add_column(no_wrap=True)
        if wide:
            table.add_column(width=BAR)
        table.add_column(no_wrap=True, overflow="ellipsis")
        passed = max((number for number, row in enumerate(self._rows.values()) if row.began), default=0)
        for number, row in enumerate(self._rows.values()):
            mark, style = (SPINNER[int(now * RATE) % len(SPINNER)], "bold") if row.now else (" ", "dim")
            counts = row.counts
            if row.ended or (number < passed and not row.began):
                mark, style = "+", ""
                counts = counts or "kept"
            bar = ProgressBar(row.steps, row.step, width=BAR) if row.steps and row.began else ""
            cells = (mark, Text(TITLES.get(row.name, row.name), style), *((bar,) if wide else ()), counts)
            table.add_row(*cells)
        return Group(table, *(Text(line, no_wrap=True, overflow="ellipsis") for line in self._ends(now)))

    def _ends(self, now: float) -> Iterator[str]:
        """The lines below the steps."""
        for row in self._rows.values():
            if row.now and row.report is not None:
                yield f"loss {row.report.loss:.4f}, {row.report.machine}"
        yield f"{clock(now - self._began)} so far"
        if self._picture:
            yield f"last picture: {self._picture}"


class _Parts:
    """Keeps the parts of a step for the display."""

    def __init__(self, row: _Row) -> None:
        self._row = row

    def changed(self, parts: Sequence[Part]) -> None:
        """See `Listener`."""
        self._row.parts = tuple(parts)
