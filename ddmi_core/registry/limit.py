"""Time limit for plugin imports, set by the command line and not by programs that embed the library."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import FrameType

VARIABLE = "DDMI_PLUGIN_TIMEOUT"
SECONDS = 30.0

_limit: ContextVar[float | None] = ContextVar("import_limit", default=None)


class ImportTimeout(BaseException):
    """An import exceeded the time limit; not an `Exception`, so that a plugin's own handlers do not catch it."""


def set_limit() -> None:
    """Set the limit for plugin imports in this context: `DDMI_PLUGIN_TIMEOUT` seconds, 30 by default."""
    try:
        seconds = float(os.environ.get(VARIABLE, SECONDS))
    except ValueError:
        seconds = SECONDS
    _limit.set(seconds if seconds > 0 else None)


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

    def stop(number: int, frame: FrameType | None) -> None:
        raise ImportTimeout(f"it took longer than {seconds:g} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
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
