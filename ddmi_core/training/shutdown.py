"""Graceful shutdown on SIGINT and SIGTERM."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class StopRequest:
    """Records the first SIGINT or SIGTERM; a second one raises `KeyboardInterrupt`, as does the first in `at_once`."""

    def __init__(self) -> None:
        self.signal_number = 0
        self._deferred = True

    def __bool__(self) -> bool:
        """Whether a stop was requested."""
        return self.signal_number != 0

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """In this block there is no state to save: a signal raises `KeyboardInterrupt` immediately."""
        self._deferred = False
        try:
            yield
        finally:
            self._deferred = True

    def _handle(self, number: int, frame: FrameType | None) -> None:
        again = self.signal_number != 0
        self.signal_number = number
        if again or not self._deferred:
            raise KeyboardInterrupt


@contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Handle SIGINT and SIGTERM during the block; does nothing outside the main thread."""
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = {number: signal.signal(number, request._handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
