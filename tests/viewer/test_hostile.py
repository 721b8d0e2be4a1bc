"""Hostile clients over real sockets: without the token, too many, too slow, too large, broken, or gone."""

from __future__ import annotations

import json
import re
import socket
import stat
import sys
from threading import Event, Thread
from time import monotonic, sleep

import pytest
from pages import Page, served

from ddmi_core.viewer import connections, queue, server
from ddmi_core.viewer.server import PAGE, STATIC, redirection
from ddmi_core.viewer.session import Session


def raw(page: Page, data: bytes, patience: float = 20) -> bytes:
    """All that the server sends for some bytes, until it closes the connection."""
    with socket.create_connection(("127.0.0.1", page.port), timeout=patience) as connection:
        connection.sendall(data)
        return received(connection)


def received(connection: socket.socket) -> bytes:
    parts = []
    while part := connection.recv(1 << 16):
        parts.append(part)
    return b"".join(parts)


def head(page: Page, line: str = "GET /about HTTP/1.1", *more: str) -> bytes:
    lines = [line, f"Host: 127.0.0.1:{page.port}", f"Authorization: Bearer {page.server.token}", *more]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def status(response: bytes) -> int:
    match = re.match(rb"HTTP/1\.1 (\d{3}) ", response)
    assert match, response[:200]
    return int(match[1])


def sentence(response: bytes) -> str:
    return json.loads(response.partition(b"\r\n\r\n")[2])["error"]


@pytest.mark.parametrize("token", ["", "wrong", "é", "\x00", "A" * 5000])
@pytest.mark.parametrize("path", ["/", "/about", "/show?a=x", "/nothing"])
def test_nothing_is_answered_without_the_token(path, token, page):
    code, _, data = page.get(path, Authorization=f"Bearer {token}")
    assert code == 403
    assert "token" in json.loads(data)["error"]
    assert page.send("POST", "/samples", b"{}", Authorization=f"Bearer {token}")[0] == 403


def test_the_page_is_at_the_address_with_the_token_and_its_static_files_need_none(page):
    path = page.server.url.partition(str(page.port))[2]
    assert page.get(path, Authorization="")[0] == 200
    assert page.get("/about?token=" + page.server.token, Authorization="")[0] == 200
    assert page.get(path[:-1], Authorization="")[0] == 403
    assert {path: page.get(path, Authorization="")[0] for path in STATIC} == dict.fromkeys(set(PAGE) - {"/"}, 200)


def test_tokens_are_not_repeated(session):
    tokens = [page.server.token for _ in range(3) for page in served(session)]
    assert len(set(tokens)) == 3
    assert all(len(token) == 32 for token in tokens)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other permissions")
def test_the_browser_gets_the_token_from_a_file_that_only_its_owner_reads(monkeypatch, session):
    opened, seen = Event(), {}

    def browse(url):
        seen["url"] = url
        place = server.Path(url.removeprefix("file://"))
        seen["text"] = place.read_text()
        seen["folder"] = stat.S_IMODE(place.parent.stat().st_mode)
        opened.set()

    class Until(server.Server):
        def serve_forever(self):
            opened.wait(10)
            seen["token"] = self.token

    monkeypatch.setattr(server, "Server", Until)
    monkeypatch.setattr(server, "_has_display", lambda: True)
    monkeypatch.setattr(server.webbrowser, "open", browse)
    server.serve(lambda: session.model, "tiny", 0, browser=True, notice=lambda line: seen.update(notice=line))
    assert seen["token"] not in seen["url"]
    assert f"?token={seen['token']}" in seen["text"]
    assert f"?token={seen['token']} until" in seen["notice"]
    assert seen["folder"] == 0o700
    assert not server.Path(seen["url"].removeprefix("file://")).exists()


def test_the_file_for_the_browser_leads_to_the_address(tmp_path):
    place = redirection("http://127.0.0.1:1/?token=x", tmp_path)
    assert 'content="0;url=http://127.0.0.1:1/?token=x"' in place.read_text()


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),  # TLS
        (b"nonsense\r\n\r\n", 400),
        (b"GET / about HTTP/1.1 more\r\n\r\n", 400),
        (b"GET / HTTP/x.y\r\n\r\n", 400),
        (b"GET / HTTP/9.1\r\n\r\n", 505),
        (b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 200 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\nX: " + b"y" * 40_000 + b"\r\n\r\n", 431),
        (b"GET /\r\n\r\n", 403),
        (b"PUT /about HTTP/1.1\r\n\r\n", 501),
    ],
)
def test_broken_and_long_requests_get_a_status_and_a_sentence(data, code, page, capfd):
    response = raw(page, data)
    assert status(response) == code
    assert sentence(response)
    assert page.get("/about")[0] == 200
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("line", "more", "code"),
    [
        ("GET http://[::1 HTTP/1.1", (), 400),
        ("GET //[/about HTTP/1.1", ("Connection: close",), 404),
        ("POST /samples HTTP/1.1", ("Content-Length: " + "9" * 5000,), 413),
        ("POST /samples HTTP/1.1", ("Content-Length: ²",), 413),
        ("POST /samples HTTP/1.1", ("Transfer-Encoding: chunked",), 413),
        ("GET /about HTTP/1.1", ("Authorization: Bearer ÿ", "Connection: close"), 200),
    ],
)
def test_addresses_and_lengths_that_are_none_are_refused(line, more, code, page, capfd):
    assert status(raw(page, head(page, line, *more))) == code
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 30_000,
        b'{"a":' * 10_000,
        b'{"n":' + b"[" * 20_000 + b"]" * 20_000 + b"}",
        b'{"n":' + b"9" * 5000 + b"}",
        b'{"n":[1]}',
        b'{"n":{"a":1}}',
        json.dumps({str(number): 1 for number in range(100)}).encode(),
    ],
)
def test_deep_and_other_json_is_refused(body, page):
    code, _, data = page.send("POST", "/samples", body)
    assert code == 400
    assert "error" in json.loads(data)


def test_a_request_byte_by_byte_ends_in_time(page, monkeypatch):
    monkeypatch.setattr(connections, "REQUEST_SECONDS", 0.5)
    with socket.create_connection(("127.0.0.1", page.port), timeout=20) as connection:
        ended = Event()

        def drip():
            for byte in head(page, "POST /samples HTTP/1.1", "Content-Length: 60000") + b"x" * 60000:
                if ended.wait(0.05):
                    return
                connection.send(bytes([byte]))

        thread = Thread(target=drip)
        thread.start()
        response = received(connection)
        ended.set()
        thread.join(10)
    assert status(response) == 408
    assert "in time" in sentence(response)


def test_a_connection_that_sends_nothing_is_closed(session, monkeypatch):
    monkeypatch.setattr(connections, "FIRST_SECONDS", 0.2)
    for page in served(session):
        assert raw(page, b"") == b""


def test_more_connections_than_are_served_are_told_so_and_leave_room_when_they_end(page, monkeypatch):
    monkeypatch.setattr(connections, "MOST_CONNECTIONS", 3)
    monkeypatch.setattr(connections, "REFUSED", 2)
    idle = [socket.create_connection(("127.0.0.1", page.port)) for _ in range(3)]
    until(lambda: page.server._open == 3)
    code, headers, data = page.get("/about")
    assert (code, headers["Connection"]) == (503, "close")
    assert "too many connections" in json.loads(data)["error"]
    until(lambda: page.server._open == 3)
    idle += [socket.create_connection(("127.0.0.1", page.port)) for _ in range(2)]
    until(lambda: page.server._open == 5)
    with socket.create_connection(("127.0.0.1", page.port), timeout=10) as further:
        assert further.recv(1) == b""
    for connection in idle:
        connection.close()
    until(lambda: page.server._open == 0)
    assert page.get("/about")[0] == 200


def test_more_waiting_requests_than_the_limit_are_told_so(page, monkeypatch):
    monkeypatch.setattr(queue, "MOST_WAITING", 1)
    with page.server.queue.admit("", 0):
        waiting = Thread(target=page.get, args=("/about",))
        waiting.start()
        until(lambda: page.server.queue._waiting)
        code, _, data = page.get("/about")
    waiting.join(10)
    assert code == 503
    assert "too many requests" in json.loads(data)["error"]


def long_work(page: Page) -> socket.socket:
    """A connection whose samples take 60 steps, of which the first is done."""
    connection = socket.create_connection(("127.0.0.1", page.port), timeout=60)
    body = json.dumps({"n": 1, "steps": 60, "seed": 77}).encode()
    connection.sendall(head(page, "POST /samples HTTP/1.1", f"Content-Length: {len(body)}") + body)
    while b'"step":1,' not in connection.recv(1 << 16):
        pass
    return connection


@pytest.fixture
def slow_steps(session, monkeypatch):
    """Samples whose steps wait for a permit, and the steps that are done."""
    done, sample = [], session.sample

    def slow(request, report):
        def waited(step, steps):
            done.append(step)
            if request.sampling.seed == 77:
                sleep(0.02)
            report(step, steps)

        return sample(request, waited)

    monkeypatch.setattr(session, "sample", slow)
    return done


def test_a_view_is_shown_between_the_steps_of_long_work(page, slow_steps):
    (name,) = page.samples(n=1, steps=1)
    slow_steps.clear()
    with long_work(page) as connection:
        assert page.get(f"/show?a={name}")[0] == 200
        shown_at = slow_steps[-1]
        rest = received(connection)
    assert shown_at < 60
    assert slow_steps == list(range(1, 61))
    assert b'"samples":' in rest


def test_interrupted_work_gives_the_samples_of_undisturbed_work(page, slow_steps, model):
    (name,) = page.samples(n=1, steps=1)
    with long_work(page) as connection:
        for _ in range(3):
            page.get(f"/show?a={name}")
        (disturbed,) = json.loads(received(connection).strip().splitlines()[-1])["samples"]
    fresh = Session(model, "other")
    for other in served(fresh):
        (alone,) = other.samples(n=1, steps=60, seed=77)
        assert other.get(f"/show?a={alone}")[2] == page.get(f"/show?a={disturbed}")[2]


def test_work_ends_when_its_client_is_gone(page, slow_steps):
    long_work(page).close()
    until(lambda: page.server._open == 0)
    assert slow_steps[-1] < 60


def test_a_waiting_request_whose_client_is_gone_is_dropped(page):
    with page.server.queue.admit("", 0):
        with socket.create_connection(("127.0.0.1", page.port)) as connection:
            connection.sendall(head(page))
            until(lambda: page.server.queue._waiting)
        until(lambda: not page.server.queue._waiting)


def test_a_client_that_takes_nothing_is_dropped(page, session, monkeypatch):
    (name,) = page.samples(n=1, steps=1)
    monkeypatch.setattr(server, "WRITE_SECONDS", 0.3)
    monkeypatch.setattr(session, "thumbnail", lambda *_: server.Any)
    monkeypatch.setattr(server, "_file", lambda *_: ("image/png", bytes(1 << 26), ""))
    with socket.create_connection(("127.0.0.1", page.port)) as connection:
        connection.sendall(head(page, f"GET /thumbnail?a={name} HTTP/1.1"))
        until(lambda: page.server._open == 1)
        until(lambda: page.server._open == 0)


def until(true) -> None:
    end = monotonic() + 20
    while not true():
        assert monotonic() < end
        sleep(0.005)
