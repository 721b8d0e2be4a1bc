"""A time limit for importing a plugin, which the command line sets and programs that embed the library do not."""

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


class TooLong(BaseException):
    """Importing took longer than allowed; no `Exception`, so that a plugin's own guards let it through."""


def set_limit() -> None:
    """Limit imports of plugins from now on in this context to `DDMI_PLUGIN_TIMEOUT` seconds, 30 by default."""
    try:
        seconds = float(os.environ.get(VARIABLE, SECONDS))
    except ValueError:
        seconds = SECONDS
    _limit.set(seconds if seconds > 0 else None)


@contextmanager
def limited() -> Iterator[None]:
    """Stop the block when the limit is over, where there is one and this thread can be interrupted.

    Raises:
        TooLong: in the block.
    """
    seconds = _limit.get()
    if seconds is None or not hasattr(signal, "setitimer") or threading.current_thread() != threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        raise TooLong(f"it took longer than {seconds:g} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
