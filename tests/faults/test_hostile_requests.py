"""The page of `ddmi view` refuses broken requests, tells no internal error, and is still there afterwards."""

from __future__ import annotations

import random
import socket
from threading import Thread

import pytest

import ddmi_core
from ddmi_core.viewer.server import Server
from ddmi_core.viewer.session import Session
from soaking import page
from soaking.trials import GOOD

REQUESTS = 250


@pytest.fixture(scope="module")
def server(finished_runs):
    session = Session(ddmi_core.load(finished_runs["wave"], device="cpu"), "tiny")
    with Server(0) as running:
        running.session = session
        Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield running
        running.shutdown()


def test_hostile_requests_are_refused_and_the_page_stays(server, tmp_path):
    trial = page.trial_of(server.url, server.server_address[1], "0123456789abcdef-0")
    faults, outcomes = [], set()
    for number in range(REQUESTS):
        verdict = trial(random.Random(f"page {number}"), tmp_path)
        outcomes.add(verdict.outcome)
        if verdict.outcome not in GOOD:
            faults.append(f"{number}, {verdict.how}: {verdict.outcome}: {verdict.said}")
    assert not faults, "\n".join(faults[:10])
    assert outcomes == set(GOOD)


def test_connections_that_say_nothing_do_not_hold_the_page(server):
    silent = [socket.create_connection(("127.0.0.1", server.server_address[1])) for _ in range(20)]
    for number, connection in enumerate(silent):
        connection.sendall(b"POST /samples HTTP/1.1\r\nContent-Length: 100\r\n"[: 5 * number])
    try:
        address = page.urlsplit(server.url)
        request = f"GET /?{address.query} HTTP/1.1\r\nHost: {address.netloc}\r\nConnection: close\r\n\r\n"
        assert b" 200 " in page.answered(server.server_address[1], request.encode())[:20]
    finally:
        for connection in silent:
            connection.close()
