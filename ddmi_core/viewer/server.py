"""The HTTP server of the page, for local requests with its token only: static files, samples and rendered fields."""

from __future__ import annotations

import io
import os
import secrets
import shutil
import sys
import tempfile
import traceback
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from http.server import BaseHTTPRequestHandler
from importlib.resources import files
from pathlib import Path
from threading import Lock, Thread
from typing import Any
from urllib.parse import SplitResult, parse_qs, urlsplit

from ddmi_core.errors import DdmiError, OutputError, RequestError
from ddmi_core.model.model import Model
from ddmi_core.model.run_folder import RunFolder
from ddmi_core.out_of_memory import exhausted_memory, out_of_memory
from ddmi_core.viewer.connections import (
    FIRST_SECONDS,
    LARGEST_BODY,
    PART,
    WRITE_SECONDS,
    LimitedServer,
    RequestReader,
    RequestTooLong,
    RequestTooSlow,
    check_open,
)
from ddmi_core.viewer.following import Following
from ddmi_core.viewer.params import MOST_NAMES, Query, as_json
from ddmi_core.viewer.queue import Busy, RequestQueue, Superseded
from ddmi_core.viewer.session import Session

HOST = "127.0.0.1"
FIRST_PORT, TRIED = 8642, 20
STOP_SECONDS = 1.0  # for the current computation to stop after an interrupt
INTERRUPTED = 130  # exit status
SCRIPTS = ("app", "follow", "mesh", "requests", "stage")
# Static files of the page by URL path; no other file is served.
PAGE = {
    "/": ("index.html", "text/html; charset=utf-8"),
    **{f"/{name}.css": (f"{name}.css", "text/css; charset=utf-8") for name in ("style", "follow")},
    **{f"/{name}.js": (f"{name}.js", "text/javascript; charset=utf-8") for name in SCRIPTS},
}
STATIC = frozenset(PAGE) - {"/"}  # published files, which the page loads without a token
POLICY = "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; frame-ancestors 'none'"


class Server(LimitedServer):
    """Serves one session, or the state of a run until its session begins, to browsers here that know its token.

    The token is drawn anew for each server. Addresses have it as `?token=`, as in Jupyter, and the page sends it back
    in the header `Authorization: Bearer`. Browsers would send a cookie of 127.0.0.1 to every port, so there is none.

    Args:
        port: port to listen on; `None` for the first free one from 8642, and 0 for any.

    Raises:
        OutputError: if the port cannot be used.
    """

    session: Session | None = None
    following: Following | None = None  # a run that was not finished when the server started
    begin: Callable[[], Session]  # the session of that run, once it is finished

    def __init__(self, port: int | None = None) -> None:
        self.queue, self.token, self._beginning = RequestQueue(), secrets.token_urlsafe(24), Lock()
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
        """Address of the page, with the token."""
        return f"http://{HOST}:{self.server_address[1]}/?token={self.token}"

    def knows(self, token: str) -> bool:
        """Whether a token is the server's, compared in constant time."""
        return secrets.compare_digest(token.encode("utf-8", "replace"), self.token.encode())

    def follows(self) -> Following | None:
        """The run whose state is shown; `None` when there is a session, which begins when the run is finished."""
        with self._beginning:
            if self.session is None and self.following is not None and self.following.finished:
                self.session = self.begin()
        return self.following if self.session is None else None

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print the traceback, except for connections that the browser closed."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            traceback.print_exc()


class Handler(BaseHTTPRequestHandler):
    """Handles the requests of one connection."""

    server: Server
    protocol_version = "HTTP/1.1"
    timeout = FIRST_SECONDS
    disable_nagle_algorithm = True  # otherwise the body of a response waits for the acknowledgement of its header
    rfile: io.BufferedReader

    def setup(self) -> None:
        """Read requests within limits."""
        super().setup()
        self._reader = RequestReader(self.connection)
        self.rfile.close()
        self.rfile = io.BufferedReader(self._reader)

    def handle_one_request(self) -> None:
        """Respond to one request, also to one that is too long or too slow."""
        self._reader.begin()
        self.command, self.requestline, self.request_version = "", "", "HTTP/0.9"
        try:
            super().handle_one_request()
        except RequestTooLong:
            self._refuse(431, "the request line and the headers are too long")
        except RequestTooSlow:
            self._refuse(408, "the request did not arrive in time")

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Respond to a request that is not HTTP, or has an unknown method."""
        self._refuse(code, "this server answers GET and POST only" if code == 501 else "the request is not valid HTTP")

    def do_GET(self) -> None:
        """Respond with a static file, or with a rendered field of the session."""
        address = self._address()
        if address is None:
            return
        if address.path in STATIC:
            name, kind = PAGE[address.path]
            self._send(200, kind, _asset(name))
            return
        if address.path == "/":
            self._guarded(self._answer_page)
            return
        if self.server.following is not None and address.path in ("/state", "/preview"):
            self._guarded(lambda: self._answer_state(address))
            return
        session = self.server.session
        if session is None:
            self._fail(404, "the run is not finished, so there is no model to show")
            return
        shown: dict[str, Callable[[Query, Callable[[], None]], tuple[str, bytes, str]]] = {
            "/about": lambda *_: ("application/json", as_json(session.about()), ""),
            "/thumbnail": lambda query, pause: _file(session.thumbnail(query.mixture(), pause)),
            "/show": lambda query, pause: _file(session.show(query.mixture(), query, pause)),
            "/play": lambda query, pause: _file(session.play(query.mixture(), query, pause)),
            "/file": lambda query, pause: _named(*session.file(query.mixture(), query, pause)),
        }
        if address.path not in shown:
            self._fail(404, "there is nothing at this address")
            return

        def answer() -> None:
            query = Query.of_url(address.query)
            with self._admitted(query) as pause:
                kind, data, name = shown[address.path](query, pause)
            self._send(200, kind, data, name)

        self._guarded(answer)

    def do_POST(self) -> None:
        """Generate samples; the response is lines of JSON with the progress, then the names of the samples."""
        address = self._address()
        if address is None:
            return
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit() and len(length) < 10 and int(length) <= LARGEST_BODY):
            self._refuse(413, "the body of the request is too long, or its length is unknown")
            return
        self._reader.begin_body(int(length))
        body = self.rfile.read(int(length))
        session = self.server.session
        if address.path != "/samples" or session is None:
            self._fail(404, "there is nothing at this address")
            return

        def answer() -> None:
            query = Query.of_json(body)
            request, begun = query.samples(), False
            with self._admitted(query) as pause:

                def report(step: int, steps: int) -> None:
                    nonlocal begun
                    begun = begun or self._begin_lines()
                    self.wfile.write(as_json({"step": step, "steps": steps}))
                    pause()

                try:
                    names = session.sample(request, report)
                except Exception as error:
                    if not begun or isinstance(error, ConnectionError | TimeoutError):
                        raise
                    self.wfile.write(as_json(_error_body(error)))
                    return
            if not begun:
                self._begin_lines()
            self.wfile.write(as_json({"samples": names}))

        self._guarded(answer)

    def _answer_page(self) -> None:
        """The page of the model, or of a run that is not finished."""
        name, kind = ("index.html", PAGE["/"][1]) if self.server.follows() is None else ("follow.html", PAGE["/"][1])
        self._send(200, kind, _asset(name))

    def _answer_state(self, address: SplitResult) -> None:
        """The state of a run, or one of its pictures."""
        following = self.server.following
        assert following is not None
        if address.path == "/state":
            self._send(200, "application/json", as_json(following.state()))
            return
        values = parse_qs(address.query, max_num_fields=MOST_NAMES)
        stage, step = (values.get(name, [""])[0] for name in ("stage", "step"))
        self._send(200, "image/png", following.picture(stage, step))

    def log_message(self, format: str, *arguments: Any) -> None:
        """Print nothing; the terminal shows only errors."""

    def _address(self) -> SplitResult | None:
        """The address of an allowed request; otherwise `None`, after a response that says why."""
        try:
            address = urlsplit(self.path)
        except ValueError:
            self._refuse(400, "the address is not valid")
            return None
        if self.server.crowded:
            self._refuse(503, "the server has too many connections; close some, or try again in a moment")
        elif not self._local(page=address.path == "/"):
            self._refuse(
                403, f"this server answers only its own page at http://{HOST}:{self.server.server_address[1]}/"
            )
        elif address.path not in STATIC and not self.server.knows(self._token(address)):
            self._refuse(
                403, "the token is missing or wrong. Fix: open the address that ddmi view printed, with its token"
            )
        else:
            return address
        return None

    def _local(self, page: bool) -> bool:
        """Whether the request comes from the page itself, not from another site or by DNS rebinding."""
        port = self.server.server_address[1]
        hosts = {f"{name}:{port}" for name in (HOST, "localhost")}
        origin = self.headers.get("Origin")
        site = self.headers.get("Sec-Fetch-Site", "none")
        return (
            self.headers.get("Host") in hosts
            and (origin is None or origin in {f"http://{host}" for host in hosts})
            and (page or site in ("none", "same-origin"))
        )

    def _token(self, address: SplitResult) -> str:
        """The token in the header or in the address; empty without one."""
        kind, _, token = self.headers.get("Authorization", "").partition(" ")
        if kind.lower() == "bearer":
            return token.strip()
        with suppress(ValueError):  # too many names
            return parse_qs(address.query, max_num_fields=MOST_NAMES).get("token", [""])[0]
        return ""

    @contextmanager
    def _admitted(self, query: Query) -> Iterator[Callable[[], None]]:
        """The model, for one request, as long as its client waits."""
        with self.server.queue.admit(*query.channel(), lambda: check_open(self.connection)) as pause:
            yield pause

    def _guarded(self, answer: Callable[[], None]) -> None:
        """Respond, or report the error."""
        try:
            answer()
        except Superseded:
            self._send(409, "application/json", as_json({"superseded": True}))
        except Busy:
            self._fail(503, "too many requests wait for the model; try again in a moment")
        except (ConnectionError, TimeoutError):  # the client is gone, or takes nothing
            self.close_connection = True
        except Exception as error:
            self._send(400 if isinstance(error, RequestError) else 500, "application/json", as_json(_error_body(error)))

    def _begin_lines(self) -> bool:
        """Begin a response of lines, which ends with the connection."""
        self.connection.settimeout(WRITE_SECONDS)
        self.send_response(200)
        self.send_header("Content-Type", "application/x-ndjson")
        self.send_header("Cache-Control", "no-store")
        self.send_header("Connection", "close")
        self.end_headers()
        return True

    def _refuse(self, status: int, sentence: str) -> None:
        """Respond with a sentence and close the connection, of whose request a part may be unread."""
        self.close_connection = True
        self.request_version = self.protocol_version  # otherwise the response to a broken request has no status
        self._fail(status, sentence)

    def _fail(self, status: int, sentence: str) -> None:
        self._send(status, "application/json", as_json({"error": sentence}))

    def _send(self, status: int, kind: str, data: bytes, name: str = "") -> None:
        with suppress(ConnectionError, TimeoutError):
            self.connection.settimeout(WRITE_SECONDS)
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.send_header("Cache-Control", "no-store")
            self.send_header("X-Content-Type-Options", "nosniff")
            self.send_header("Content-Security-Policy", POLICY)
            self.send_header("Referrer-Policy", "no-referrer")
            if self.close_connection:
                self.send_header("Connection", "close")
            if name:
                self.send_header("Content-Disposition", f'attachment; filename="{name}"')
            self.end_headers()
            for start in range(0, len(data), PART):
                self.wfile.write(data[start : start + PART])
            return
        self.close_connection = True


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
    if found := exhausted_memory(error):
        error = out_of_memory(found, fix="ask for fewer samples, or a smaller size")
    if isinstance(error, DdmiError):
        return {"error": str(error)}
    traceback.print_exception(error)
    return {"error": f"internal error: {type(error).__name__}: {error}"}


def serve(
    load: Callable[[], Model],
    title: str,
    port: int | None,
    *,
    browser: bool,
    notice: Callable[[str], None],
    run: RunFolder | None = None,
) -> None:
    """Serve the page of a model, or of a run until it has one, until the program is interrupted.

    An interrupt ends a computation at its next step, or kills the program after `STOP_SECONDS`.

    Args:
        load: loads the model; called after the port was opened.
        title: title of the page.
        port: port to listen on; `None` for the first free one.
        browser: whether to open the page in a browser, if there is a display.
        notice: prints lines on the terminal.
        run: the run of the model; `None` for a plugin's weights.

    Raises:
        OutputError: if the port cannot be used.
        CheckpointError: if the folder is no run.
    """
    with Server(port) as server:
        following = None if run is None else Following(run)
        if following is None or following.finished:
            server.session = Session(load(), title)
        else:
            server.following, server.begin = following, lambda: Session(load(), title)
            notice("the run is not finished; the page follows it, and shows the model when there is one")
        notice(f"serving {title} at {server.url} until Ctrl-C")
        with tempfile.TemporaryDirectory() as folder:
            if browser and _has_display():
                place = redirection(server.url, Path(folder))
                Thread(target=webbrowser.open, args=(place.as_uri(),), daemon=True).start()
            try:
                server.serve_forever()
            except KeyboardInterrupt:
                if not server.queue.close(STOP_SECONDS):
                    # A thread that still runs in torch would abort the interpreter's shutdown.
                    print("interrupted", file=sys.stderr, flush=True)
                    shutil.rmtree(folder, ignore_errors=True)
                    os._exit(INTERRUPTED)
                raise


def redirection(url: str, folder: Path) -> Path:
    """Write a file that leads to an address.

    Other users see the arguments of a browser in the list of processes, so these do not have the token, and the file is
    in a folder that only its owner can read.
    """
    place = folder / "ddmi-view.html"
    refresh = f'<!doctype html><meta http-equiv="refresh" content="0;url={url}"><a href="{url}">ddmi view</a>\n'
    place.write_text(refresh, encoding="utf-8")
    return place


def _has_display() -> bool:
    """Whether a browser opens in a window; without a display, some systems start a browser in the terminal."""
    return sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
