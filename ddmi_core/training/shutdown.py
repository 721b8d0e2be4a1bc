"""Orderly stops: a signal asks, the work saves its state at the next safe place."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class StopRequest:
    """Remembers the first SIGINT or SIGTERM; a second one stops at once, and so does the first `at_once`."""

    def __init__(self) -> None:
        self.signal_number = 0
        self._patient = True

    def __bool__(self) -> bool:
        """Whether a stop was asked for."""
        return self.signal_number != 0

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Work that has no state to save: a stop raises `KeyboardInterrupt` in it."""
        self._patient = False
        try:
            yield
        finally:
            self._patient = True

    def _handle(self, number: int, frame: FrameType | None) -> None:
        again = self.signal_number != 0
        self.signal_number = number
        if again or not self._patient:
            raise KeyboardInterrupt


@contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Catch SIGINT and SIGTERM while the block runs; outside the main thread nothing is caught."""
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
