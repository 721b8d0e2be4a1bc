"""Hostile requests to the page of `ddmi view`: broken request lines, headers, bodies and queries, over real sockets."""

from __future__ import annotations

import io
import random
import re
import socket
import traceback
from contextlib import redirect_stderr, suppress
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

from soaking.mutate import JSON, TEXT, mutated
from soaking.tiny_runs import undisturbed
from soaking.trials import ERROR, HANG, OK, OTHER, TRACEBACK, Kind, Trial, Verdict

SECONDS = 20.0  # for an answer
BODIES = (
    b'{"n": 1, "seed": "1", "steps": 1, "guidance": 1.5, "channel": "a", "serial": 1}',
    b'{"n": 2, "steps": 2, "condition": "", "channel": "", "serial": 0}',
)
QUERIES = ("a={a}", "a={a}&rows=8&columns=8&bounds=-0.5,0.5,-0.5,0.5", "a={a}&b={a}&mix=0.5&through=noise&suffix=.png")
PATHS = ("/", "/about", "/app.js", "/show", "/thumbnail", "/play", "/file", "/samples", "/../server.py")


def request(draw: random.Random, address: str, sample: str) -> bytes:
    """A request whose parts are mutated now and then."""
    asked = urlsplit(address)
    path, body = draw.choice(PATHS), b""
    method = "GET"
    query = draw.choice(QUERIES).format(a=sample)
    if path == "/samples" and draw.random() < 0.9:
        method, body, query = "POST", mutated(draw.choice(BODIES), draw, JSON), ""
        body = re.sub(rb'("steps": *)(\d{3,})', rb"\g<1>2", re.sub(rb'("n": *)(\d{2,})', rb"\g<1>2", body))
    if draw.random() < 0.6:
        query = "&".join(filter(None, (query, asked.query)))
    if draw.random() < 0.5:
        query = mutated(query.encode() or b"a=1", draw, TEXT).decode("latin-1").replace("\n", "%0a").replace(" ", "+")
    length = str(len(body))
    if draw.random() < 0.1:
        length = draw.choice(("-1", "0", "9" * 30, "x", "1e3", str(len(body) + 100), "", "٣", "1" * 5000))
    head = [f"{method} {path}?{query} HTTP/1.1", f"Host: {asked.netloc}", "Connection: close"]
    if method == "POST":
        head.append(f"Content-Length: {length}")
    text = "\r\n".join(head).encode("latin-1", "replace") + b"\r\n\r\n"
    if draw.random() < 0.3:
        text = mutated(text, draw, TEXT)
    return text + body


def answered(port: int, data: bytes) -> bytes:
    """What the server sends until it closes the connection; a client that says nothing more has closed its half."""
    with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as connection:
        try:
            connection.sendall(data)
            with suppress(OSError):  # the server has closed the connection already
                connection.shutdown(socket.SHUT_WR)
            pieces = []
            while piece := connection.recv(1 << 16):
                pieces.append(piece)
        except ConnectionError:
            return b""
        return b"".join(pieces)


def judged_answer(answer: bytes, said: str, how: str) -> Verdict:
    """A response is refused, served, or missing where the connection was closed; nothing is an internal error."""
    if "Traceback" in said or b"internal error" in answer:
        return Verdict(TRACEBACK, (said[-500:] or answer[-300:].decode("latin-1")), how)
    if not answer:
        return Verdict(OK, "closed", how)
    if answer[:9] == b"HTTP/1.1 " or answer[:9] == b"HTTP/1.0 ":
        status = answer[9:12]
        if status[:1] == b"5" and status not in (b"501", b"503", b"505"):
            return Verdict(OTHER, answer[:300].decode("latin-1"), how)
        return Verdict(OK if status[:1] == b"2" else ERROR, status.decode(), how)
    if b"<!DOCTYPE" in answer[:20] or b"Error code" in answer:  # HTTP/0.9, which http.server answers without a head
        return Verdict(ERROR, "HTTP/0.9", how)
    return Verdict(OK, "HTTP/0.9", how)


def prepare(folder: Path) -> Trial:
    """Serve the page of a tiny run on a port of its own."""
    run = undisturbed(folder, "image")
    import ddmi_core
    from ddmi_core.viewer.server import Server
    from ddmi_core.viewer.session import Session

    session = Session(ddmi_core.load(run, device="cpu"), "soak")
    server = Server(0)
    server.session = session
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    return trial_of(server.url, server.server_address[1], "0123456789abcdef-0")


def trial_of(address: str, port: int, sample: str) -> Trial:
    """A trial that sends one hostile request, and then asks for the page."""

    def trial(draw: random.Random, own: Path) -> Verdict:
        data = request(draw, address, sample)
        own.mkdir(parents=True, exist_ok=True)
        (own / "request").write_bytes(data)
        how = repr(data[:150])
        said = io.StringIO()
        try:
            with redirect_stderr(said):
                verdict = judged_answer(answered(port, data), said.getvalue(), how)
                asked = urlsplit(address)
                page = f"GET /?{asked.query} HTTP/1.1\r\nHost: {asked.netloc}\r\nConnection: close\r\n\r\n"
                alive = answered(port, page.encode())
        except TimeoutError:
            return Verdict(HANG, f"no answer in {SECONDS:g} s", how)
        except OSError:
            return Verdict(OTHER, traceback.format_exc()[-300:], how)
        if b" 200 " not in alive[:20]:
            return Verdict(OTHER, f"the page is gone: {alive[:100]!r}", how)
        return verdict

    return trial


KINDS = (Kind("requests of the page", prepare, lambda folder: undisturbed(folder, "image"), limit=90.0, share=2),)
