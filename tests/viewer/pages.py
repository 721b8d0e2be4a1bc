"""A client of the page's server, and a server on a port of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from http.client import HTTPConnection
from threading import Thread
from time import monotonic, sleep

from ddmi_core.viewer.server import Server
from ddmi_core.viewer.session import Session


class Page:
    """A client of a server."""

    def __init__(self, server: Server) -> None:
        self.server, self.port = server, server.server_address[1]

    def send(self, method: str, path: str, body: bytes | None = None, **headers: str):
        """Status, headers and bytes of an answer."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        given = {"Authorization": f"Bearer {self.server.token}"}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, given)
        answer = connection.getresponse()
        found = answer.status, dict(answer.getheaders()), answer.read()
        connection.close()
        return found

    def get(self, path: str, **headers: str):
        return self.send("GET", path, **headers)

    def told(self, path: str) -> str:
        """The sentence of a failure."""
        status, _, data = self.get(path)
        assert status == 400, data
        return json.loads(data)["error"]

    def lines(self, wanted: Mapping[str, object]):
        """Lines of an answer to a request for samples."""
        status, _, data = self.send("POST", "/samples", json.dumps(wanted).encode())
        return status, [json.loads(line) for line in data.splitlines()]

    def samples(self, **wanted: object) -> list[str]:
        status, lines = self.lines(wanted)
        assert status == 200, lines
        return lines[-1]["samples"]

    def wait_for(self, channel: str, serial: int) -> None:
        """Until the server has heard of a request."""
        end = monotonic() + 10
        while self.server.queue.newest(channel) < serial:
            assert monotonic() < end
            sleep(0.001)


def served(session: Session) -> Iterator[Page]:
    """A page of a session, on a port of its own."""
    with Server(0) as server:
        server.session = session
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield Page(server)
        server.shutdown()
