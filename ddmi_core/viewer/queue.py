"""Whose turn it is: one request at a time uses the model, and only the newest of each channel."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock

MOST_CHANNELS = 256


class Superseded(Exception):  # noqa: N818 - not a fault: the page has asked for something newer
    """A newer request of the same channel has come."""


class Turns:
    """Lets requests use the model one after the other, and drops those that nobody waits for any more."""

    def __init__(self) -> None:
        self._model, self._notes = Lock(), Lock()
        self._newest: OrderedDict[str, int] = OrderedDict()
        self._closed = False

    @contextmanager
    def turn(self, channel: str, serial: int) -> Iterator[Callable[[], None]]:
        """Wait for the model; the block may call what it is given, to stop when a newer request has come.

        Args:
            channel: what requests replace each other; those without one, `""`, are all served.
            serial: grows from request to request of a channel.

        Raises:
            Superseded: if there is a newer one, or none is served any more.
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
        """Let nobody use the model any more; whether the last one has stopped within some seconds."""
        self._closed = True
        return self._model.acquire(timeout=patience)

    def newest(self, channel: str) -> int:
        """Serial number of the newest request of a channel; -1 where there was none."""
        return self._newest.get(channel, -1)
