"""Limits of connections: how many there are, and how long and how large a request may be."""

from __future__ import annotations

import io
import os
import socket
import socketserver
from contextlib import suppress
from threading import Lock
from time import monotonic
from typing import Any

MOST_CONNECTIONS = 64
REFUSED = 16  # further connections, which are told that the server is busy; beyond these, connections are closed
LARGEST_HEAD = 1 << 15  # bytes of the request line and the headers
LARGEST_BODY = 1 << 16
REQUEST_SECONDS = 10.0  # from the first to the last byte of a request
IDLE_SECONDS = 60.0  # that a connection stays open between requests
FIRST_SECONDS = 10.0  # that it stays open before its first request
WRITE_SECONDS = 20.0  # for a client to take a part of a response
PART = 1 << 16


class RequestTooLong(Exception):  # noqa: N818 - what is wrong is the name
    """The request line and the headers are too long."""


class RequestTooSlow(Exception):  # noqa: N818 - as above
    """A request has begun and has not arrived in time."""


class ClientGone(ConnectionError):  # noqa: N818 - an event
    """The client has closed the connection."""


class RequestReader(io.RawIOBase):
    """Reads the requests of one connection, each within limits of time and bytes.

    Args:
        connection: a connected socket.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._patience, self._deadline, self._left = FIRST_SECONDS, 0.0, 0

    def begin(self) -> None:
        """Wait for the next request."""
        self._deadline, self._left = 0.0, LARGEST_HEAD

    def begin_body(self, length: int) -> None:
        """The head of the request has been read, and a body of so many bytes follows."""
        self._left += length

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Receive some bytes.

        Raises:
            TimeoutError: if the connection is idle for too long.
            RequestTooSlow: if a request has begun and takes too long.
            RequestTooLong: if it has too many bytes.
        """
        if self._left <= 0:
            raise RequestTooLong
        begun = self._deadline > 0
        self._connection.settimeout(max(self._deadline - monotonic(), 1e-3) if begun else self._patience)
        try:
            count = self._connection.recv_into(memoryview(buffer)[: self._left])
        except TimeoutError as error:
            if begun:
                raise RequestTooSlow from error
            raise
        if not begun:
            self._patience, self._deadline = IDLE_SECONDS, monotonic() + REQUEST_SECONDS
        self._left -= count
        return count


def check_open(connection: socket.socket) -> None:
    """Raise `ClientGone` if the client has closed the connection."""
    connection.settimeout(0)
    try:
        gone = not connection.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        gone = False
    except OSError:
        gone = True
    finally:
        with suppress(OSError):
            connection.settimeout(WRITE_SECONDS)
    if gone:
        raise ClientGone


class LimitedServer(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """A server of a limited number of connections, with a thread for each."""

    daemon_threads = True
    allow_reuse_address = os.name != "nt"  # on Windows, it would let two programs share a port
    request_queue_size = 64

    def __init__(self, *arguments: Any) -> None:
        self._open, self._lock = 0, Lock()
        super().__init__(*arguments)

    @property
    def crowded(self) -> bool:
        """Whether there are more connections than are served."""
        return self._open > MOST_CONNECTIONS

    def process_request(self, request: Any, client_address: Any) -> None:
        """Handle a connection in a thread of its own, unless there are too many."""
        with self._lock:
            accepted = self._open < MOST_CONNECTIONS + REFUSED
            self._open += accepted
        if accepted:
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Handle a connection."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._lock:
                self._open -= 1
