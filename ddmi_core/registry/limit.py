"""Limits of CPU time: of plugin imports in the command line, and of processes that check plugins.

They count CPU time, because a busy machine takes longer for the same work, with one factor for slow machines. Work that
waits without using the processor is ended as well.
"""

from __future__ import annotations

import contextlib
import math
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import FrameType
from typing import TYPE_CHECKING

from ddmi_core.errors import RequestError

if TYPE_CHECKING:
    import psutil

VARIABLE = "DDMI_TIME_FACTOR"
SECONDS = 30.0
LARGEST = 1e6  # factor; a timer of the system has a limit
LOOKS = 20  # how often the CPU time is read within a limit
IDLE = 0.01  # share of the processor below which work waits

_limit: ContextVar[float | None] = ContextVar("import_limit", default=None)


class ImportTimeout(BaseException):
    """An import exceeded the time limit; not an `Exception`, so that a plugin's own handlers do not catch it."""


def factor() -> float:
    """The factor of all time limits, `DDMI_TIME_FACTOR` in the environment: 1 by default; 0 or less for no limits.

    Raises:
        RequestError: if it is no number, or not finite.
    """
    text = os.environ.get(VARIABLE, "1")
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not abs(found) <= LARGEST:
        raise RequestError(
            f"the environment variable {VARIABLE} is {text!r}. Fix: set it to a number of at most {LARGEST:g}, to 0 for "
            "no limits, or unset it"
        )
    return found


def fix() -> str:
    """How to raise the limits, for messages."""
    return f"on a slow machine, raise all time limits: set {VARIABLE}={max(1.0, factor()) * 4:g}"


def set_limit() -> None:
    """Limit plugin imports in this context to 30 s of CPU time, times the factor."""
    _limit.set(SECONDS * factor() if factor() > 0 else None)


class Watch:
    """Compares CPU time with a limit.

    Args:
        limit: seconds of CPU time, the factor included; also the longest time without any.
        used: CPU time in seconds at the start.
    """

    def __init__(self, limit: float, used: float) -> None:
        self.limit, self.first, self.busy = limit, used, used
        self.since = time.monotonic()

    def exceeded(self, used: float) -> str:
        """What the work did, if it is over a limit at this CPU time; empty otherwise."""
        if used - self.first > self.limit:
            return f"took longer than {self.limit:g} s of CPU time"
        waited = time.monotonic() - self.since
        if used - self.busy > IDLE * max(waited, self.limit / LOOKS):
            self.busy, self.since = used, time.monotonic()
        elif waited > self.limit:
            return f"waited longer than {self.limit:g} s without using the processor"
        return ""


def ended(process: subprocess.Popen[bytes], seconds: float) -> str:
    """Wait for a process; kill it after its limit of CPU time, times the factor.

    Returns:
        what it did, if it was killed; empty otherwise.
    """
    import psutil

    watch = Watch(seconds * factor() if factor() > 0 else float("inf"), 0.0)
    while True:
        try:
            process.wait(min(0.1, watch.limit / LOOKS))
            return ""
        except subprocess.TimeoutExpired:
            with contextlib.suppress(psutil.Error):
                if late := watch.exceeded(_cpu_time(psutil.Process(process.pid))):
                    process.kill()
                    process.wait()
                    return late


def _cpu_time(process: psutil.Process) -> float:
    """Seconds of CPU time of a process and its descendants."""
    return sum(sum(each.cpu_times()[:4]) for each in (process, *process.children(recursive=True)))


@contextmanager
def limited() -> Iterator[None]:
    """Interrupt the block after the time limit, if one is set and this is the main thread.

    Raises:
        ImportTimeout: in the block.
    """
    seconds = _limit.get()
    if seconds is None or not hasattr(signal, "setitimer") or threading.current_thread() != threading.main_thread():
        yield
        return
    watch = Watch(seconds, time.process_time())

    def look(number: int, frame: FrameType | None) -> None:
        if what := watch.exceeded(time.process_time()):
            raise ImportTimeout(f"it {what}")

    before = signal.signal(signal.SIGALRM, look)
    signal.setitimer(signal.ITIMER_REAL, seconds / LOOKS, seconds / LOOKS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def as_text(error: BaseException) -> str:
    """An exception of an import as text."""
    if isinstance(error, ImportTimeout):
        return str(error)
    if isinstance(error, SystemExit):
        return f"it called sys.exit({error.code!r})"
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
