"""Blocks and records network connections."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn
from unittest import mock

_FAMILIES = (socket.AF_INET, socket.AF_INET6)


@contextmanager
def offline() -> Iterator[list[str]]:
    """Refuse internet connections and name look-ups in the block; other sockets still work.

    Yields:
        a list of the refused connections as texts, extended during the block.
    """
    attempts: list[str] = []

    def refuse(where: str) -> NoReturn:
        attempts.append(where)
        raise OSError(f"network access is blocked in checks: {where}")

    def connect(self: socket.socket, address: Any, *, _plain: Any = socket.socket.connect) -> Any:
        return refuse(str(address)) if self.family in _FAMILIES else _plain(self, address)

    def connect_ex(self: socket.socket, address: Any, *, _plain: Any = socket.socket.connect_ex) -> Any:
        return refuse(str(address)) if self.family in _FAMILIES else _plain(self, address)

    def getaddrinfo(host: Any, port: Any, *_: Any, **__: Any) -> NoReturn:
        refuse(f"{host}:{port}")

    with (
        mock.patch.object(socket.socket, "connect", connect),
        mock.patch.object(socket.socket, "connect_ex", connect_ex),
        mock.patch.object(socket, "getaddrinfo", getaddrinfo),
    ):
        yield attempts
