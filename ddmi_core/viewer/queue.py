"""Serializes access to the model and drops superseded requests."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock

MOST_CHANNELS = 256


class Superseded(Exception):  # noqa: N818 - not a fault: the page has sent a newer request
    """A newer request of the same channel has arrived, or the queue is closed."""


class RequestQueue:
    """Admits one request at a time to the model, and only the newest of each channel."""

    def __init__(self) -> None:
        self._model, self._notes = Lock(), Lock()
        self._newest: OrderedDict[str, int] = OrderedDict()
        self._closed = False

    @contextmanager
    def admit(self, channel: str, serial: int) -> Iterator[Callable[[], None]]:
        """Wait for the model; yields a function that raises `Superseded` if a newer request has arrived.

        Args:
            channel: requests of one channel replace each other; those of the channel `""` are all served.
            serial: increases with every request of a channel.

        Raises:
            Superseded: if there is a newer request, or the queue is closed.
        """

        def check() -> None:
            if self._closed or (channel and self.newest(channel) > serial):
                raise Superseded

        with self._notes:
            if channel:
                self._newest[channel] = max(serial, self.newest(channel))
                self._newest.move_to_end(channel)
                if len(self._newest) > MOST_CHANNELS:
                    self._newest.popitem(last=False)
        with self._model:
            check()
            yield check

    def close(self, patience: float) -> bool:
        """Admit no more requests, and wait; whether the running one stopped within `patience` seconds."""
        self._closed = True
        return self._model.acquire(timeout=patience)

    def newest(self, channel: str) -> int:
        """Serial number of the newest request of a channel; -1 without one."""
        return self._newest.get(channel, -1)
