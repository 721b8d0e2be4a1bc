"""Start of the page: its port, its model, and the browser that shows it."""

from __future__ import annotations

import os
import sys
import webbrowser
from collections.abc import Callable
from threading import Thread

from ddmi_core.runs.model import Model
from ddmi_core.viewer.server import Server
from ddmi_core.viewer.session import Session

PATIENCE = 1.0  # seconds for what is being computed when the program is interrupted
INTERRUPTED = 130  # exit status


def serve(
    load: Callable[[], Model], title: str, port: int | None, *, browser: bool, told: Callable[[str], None]
) -> None:
    """Serve the page of a model until the program is interrupted.

    An interrupt ends a computation at its next step, or the program with it where that does not come soon.

    Args:
        load: gives the model; called when the port is there.
        title: what the page calls it.
        port: to listen at; `None` for the first free one.
        browser: whether to open the page in a browser, where there is a display.
        told: takes lines for the terminal.

    Raises:
        OutputError: if the port cannot be used.
    """
    with Server(port) as server:
        server.session = Session(load(), title)
        told(f"{title} is shown at {server.url} until Ctrl-C")
        if browser and _has_display():
            Thread(target=webbrowser.open, args=(server.url,), daemon=True).start()
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            if not server.turns.close(PATIENCE):
                # A thread inside of torch would abort the end of the interpreter.
                print("interrupted", file=sys.stderr, flush=True)
                os._exit(INTERRUPTED)
            raise


def _has_display() -> bool:
    """Whether a browser would open in a window; without one, some systems start a browser in the terminal."""
    return sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
