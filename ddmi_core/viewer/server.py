"""The HTTP server of the page, for local requests only: static files, samples and rendered fields."""

from __future__ import annotations

import os
import socketserver
import sys
import traceback
import webbrowser
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from http.server import BaseHTTPRequestHandler
from importlib.resources import files
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

from ddmi_core.errors import DdmiError, OutputError, RequestError
from ddmi_core.model.model import Model
from ddmi_core.viewer.params import Query, as_json
from ddmi_core.viewer.queue import RequestQueue, Superseded
from ddmi_core.viewer.session import Session

HOST = "127.0.0.1"
FIRST_PORT, TRIED = 8642, 20
LARGEST_BODY = 1 << 16
IDLE_SECONDS = 60.0  # that an idle connection stays open
STOP_SECONDS = 1.0  # for the current computation to stop after an interrupt
INTERRUPTED = 130  # exit status
SCRIPTS = ("app", "mesh", "requests", "stage")
# Static files of the page by URL path; no other file is served.
PAGE = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/style.css": ("style.css", "text/css; charset=utf-8"),
    **{
        f"/{name}.js": (f"{name}.js", "text/javascript; charset=utf-8") for name in ("app", "mesh", "requests", "stage")
    },
}
POLICY = "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; frame-ancestors 'none'"


class Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """Serves one session to browsers on this machine.

    Args:
        port: port to listen on; `None` for the first free one from 8642, and 0 for any.

    Raises:
        OutputError: if the port cannot be used.
    """

    daemon_threads = True
    allow_reuse_address = os.name != "nt"  # on Windows, it would let two programs share a port
    session: Session

    def __init__(self, port: int | None = None) -> None:
        self.queue = RequestQueue()
        for chosen in range(FIRST_PORT, FIRST_PORT + TRIED) if port is None else (port,):
            try:
                super().__init__((HOST, chosen), Handler)
                return
            except OSError as error:
                reason = error
        taken = f"port {port}" if port is not None else f"each port from {FIRST_PORT} to {FIRST_PORT + TRIED - 1}"
        raise OutputError(
            f"{taken} of {HOST} cannot be used: {(reason.strerror or str(reason)).lower()}; choose another with --port"
        ) from reason

    @property
    def url(self) -> str:
        """Address of the page."""
        return f"http://{HOST}:{self.server_address[1]}/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print the traceback, except for connections that the browser closed."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            traceback.print_exc()


class Handler(BaseHTTPRequestHandler):
    """Handles the requests of one connection."""

    server: Server
    protocol_version = "HTTP/1.1"
    timeout = IDLE_SECONDS
    disable_nagle_algorithm = True  # otherwise the body of a response waits for the acknowledgement of its header

    def do_GET(self) -> None:
        """Respond with a static file, or with a rendered field of the session."""
        address = urlsplit(self.path)
        if not self._allowed(page=address.path == "/"):
            return
        if address.path in PAGE:
            name, kind = PAGE[address.path]
            self._send(200, kind, _asset(name))
            return
        session = self.server.session
        shown: dict[str, Callable[[Query], tuple[str, bytes, str]]] = {
            "/about": lambda _: ("application/json", as_json(session.about()), ""),
            "/thumbnail": lambda query: _file(session.thumbnail(query.mixture())),
            "/show": lambda query: _file(session.show(query.mixture(), query)),
            "/play": lambda query: _file(session.play(query.mixture(), query)),
            "/file": lambda query: _named(*session.file(query.mixture(), query)),
        }
        if address.path not in shown:
            self._fail(404, "there is nothing at this address")
            return

        def answer() -> None:
            query = Query.of_url(address.query)
            with self.server.queue.admit(*query.channel()):
                kind, data, name = shown[address.path](query)
            self._send(200, kind, data, name)

        self._guarded(answer)

    def do_POST(self) -> None:
        """Generate samples; the response is lines of JSON with the progress, then the names of the samples."""
        if not self._allowed():
            return
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit() and int(length) <= LARGEST_BODY):
            self.close_connection = True
            self._fail(413, "the body of the request is too long, or its length is unknown")
            return
        body = self.rfile.read(int(length))
        if urlsplit(self.path).path != "/samples":
            self._fail(404, "there is nothing at this address")
            return

        def answer() -> None:
            query = Query.of_json(body)
            request, begun = query.samples(), False
            with self.server.queue.admit(*query.channel()) as check:

                def report(step: int, steps: int) -> None:
                    nonlocal begun
                    check()
                    begun = begun or self._begin_lines()
                    self.wfile.write(as_json({"step": step, "steps": steps}))

                try:
                    names = self.server.session.sample(request, report)
                except Exception as error:
                    if not begun or isinstance(error, ConnectionError):
                        raise
                    self.wfile.write(as_json(_error_body(error)))
                    return
            if not begun:
                self._begin_lines()
            self.wfile.write(as_json({"samples": names}))

        self._guarded(answer)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Print nothing; the terminal shows only errors."""

    def _allowed(self, page: bool = False) -> bool:
        """Whether the request comes from the page itself, not from another site or by DNS rebinding."""
        port = self.server.server_address[1]
        hosts = {f"{name}:{port}" for name in (HOST, "localhost")}
        origin = self.headers.get("Origin")
        site = self.headers.get("Sec-Fetch-Site", "none")
        if (
            self.headers.get("Host") in hosts
            and (origin is None or origin in {f"http://{host}" for host in hosts})
            and (page or site in ("none", "same-origin"))
        ):
            return True
        self.close_connection = True
        self._fail(403, f"this server answers only its own page at {self.server.url}")
        return False

    def _guarded(self, answer: Callable[[], None]) -> None:
        """Respond, or report the error."""
        try:
            answer()
        except Superseded:
            self._send(409, "application/json", as_json({"superseded": True}))
        except ConnectionError:
            self.close_connection = True
        except Exception as error:
            self._send(400 if isinstance(error, RequestError) else 500, "application/json", as_json(_error_body(error)))

    def _begin_lines(self) -> bool:
        """Begin a response of lines, which ends with the connection."""
        self.send_response(200)
        self.send_header("Content-Type", "application/x-ndjson")
        self.send_header("Cache-Control", "no-store")
        self.send_header("Connection", "close")
        self.end_headers()
        return True

    def _fail(self, status: int, sentence: str) -> None:
        self._send(status, "application/json", as_json({"error": sentence}))

    def _send(self, status: int, kind: str, data: bytes, name: str = "") -> None:
        with suppress(ConnectionError):
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.send_header("Cache-Control", "no-store")
            self.send_header("X-Content-Type-Options", "nosniff")
            self.send_header("Content-Security-Policy", POLICY)
            self.send_header("Referrer-Policy", "no-referrer")
            if name:
                self.send_header("Content-Disposition", f'attachment; filename="{name}"')
            self.end_headers()
            self.wfile.write(data)


@cache
def _asset(name: str) -> bytes:
    return files("ddmi_core.viewer").joinpath("page", name).read_bytes()


def _file(shown: Any, name: str = "") -> tuple[str, bytes, str]:
    return shown.kind, shown.data, name


def _named(name: str, shown: Any) -> tuple[str, bytes, str]:
    return _file(shown, name)


def _error_body(error: Exception) -> dict[str, Any]:
    """The JSON body for an error; prints the traceback of unexpected ones."""
    if isinstance(error, Superseded):
        return {"superseded": True}
    if isinstance(error, DdmiError):
        return {"error": str(error)}
    traceback.print_exception(error)
    return {"error": f"internal error: {type(error).__name__}: {error}"}


def serve(
    load: Callable[[], Model], title: str, port: int | None, *, browser: bool, notice: Callable[[str], None]
) -> None:
    """Serve the page of a model until the program is interrupted.

    An interrupt ends a computation at its next step, or kills the program after `STOP_SECONDS`.

    Args:
        load: loads the model; called after the port was opened.
        title: title of the page.
        port: port to listen on; `None` for the first free one.
        browser: whether to open the page in a browser, if there is a display.
        notice: prints lines on the terminal.

    Raises:
        OutputError: if the port cannot be used.
    """
    with Server(port) as server:
        server.session = Session(load(), title)
        notice(f"serving {title} at {server.url} until Ctrl-C")
        if browser and _has_display():
            Thread(target=webbrowser.open, args=(server.url,), daemon=True).start()
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            if not server.queue.close(STOP_SECONDS):
                # A thread that still runs in torch would abort the interpreter's shutdown.
                print("interrupted", file=sys.stderr, flush=True)
                os._exit(INTERRUPTED)
            raise


def _has_display() -> bool:
    """Whether a browser opens in a window; without a display, some systems start a browser in the terminal."""
    return sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
