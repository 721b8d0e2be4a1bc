"""Serializes access to the model, shares it between steps, and drops superseded requests."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Condition

MOST_CHANNELS = 256
MOST_WAITING = 48  # requests; a browser sends six at a time
POLL = 0.2  # seconds between checks of a waiting request


class Superseded(Exception):  # noqa: N818 - not a fault: the page has sent a newer request
    """A newer request of the same channel has arrived, or the queue is closed."""


class Busy(Exception):  # noqa: N818 - a state of the server
    """Too many requests wait."""


class RequestQueue:
    """Admits one request at a time to the model, in order, and only the newest of each channel."""

    def __init__(self) -> None:
        self._turns = Condition()
        self._running: object | None = None
        self._waiting: deque[object] = deque()
        self._newest: OrderedDict[str, int] = OrderedDict()
        self._closed = False

    @contextmanager
    def admit(
        self, channel: str, serial: int, still_wanted: Callable[[], None] = lambda: None
    ) -> Iterator[Callable[[], None]]:
        """Wait for the model; yields a function for long work to call between its steps.

        That function lets the requests that wait go first, and raises what ends the work.

        Args:
            channel: requests of one channel replace each other; those of the channel `""` are all served.
            serial: increases with every request of a channel.
            still_wanted: raises an exception if nobody waits for the answer any more.

        Raises:
            Superseded: if there is a newer request, or the queue is closed.
            Busy: if too many requests wait.
        """
        turn = object()

        def check() -> None:
            if self._closed or (channel and self.newest(channel) > serial):
                raise Superseded
            still_wanted()

        def pause() -> None:
            check()
            with self._turns:
                if self._waiting:
                    self._release()
                    self._wait(turn, check)

        with self._turns:
            if channel:
                self._newest[channel] = max(serial, self.newest(channel))
                self._newest.move_to_end(channel)
                if len(self._newest) > MOST_CHANNELS:
                    self._newest.popitem(last=False)
                self._turns.notify_all()  # older requests of the channel stop waiting
            if len(self._waiting) >= MOST_WAITING:
                raise Busy
            self._wait(turn, check)
        try:
            check()
            yield pause
        finally:
            with self._turns:
                if self._running is turn:
                    self._release()

    def close(self, patience: float) -> bool:
        """Admit no more requests, and wait; whether the running one stopped within `patience` seconds."""
        with self._turns:
            self._closed = True
            self._turns.notify_all()
            return self._turns.wait_for(lambda: self._running is None, patience)

    def newest(self, channel: str) -> int:
        """Serial number of the newest request of a channel; -1 without one."""
        return self._newest.get(channel, -1)

    def _wait(self, turn: object, check: Callable[[], None]) -> None:
        """Until it is this one's turn."""
        self._waiting.append(turn)
        try:
            while self._running is not None or self._waiting[0] is not turn:
                self._turns.wait(POLL)
                check()
            self._running = turn
        finally:
            self._waiting.remove(turn)
            self._turns.notify_all()

    def _release(self) -> None:
        self._running = None
        self._turns.notify_all()
