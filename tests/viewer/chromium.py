"""Headless Chromium, driven by its own protocol over a pipe, so that tests of the page need no package."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--remote-debugging-pipe",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--autoplay-policy=no-user-gesture-required",
)


class ProtocolError(Exception):
    """The browser refused a call."""


class Browser:
    """One page in a browser of its own; `with Browser(folder) as page`."""

    def __init__(self, profile: Path, size: tuple[int, int] = (1280, 800), dark: bool = False) -> None:
        assert PROGRAM is not None
        (near, self._out), (self._in, far) = os.pipe(), os.pipe()
        there, back = (fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (near, far))
        command = [PROGRAM, *FLAGS, f"--user-data-dir={profile}", f"--window-size={size[0]},{size[1]}", "about:blank"]
        # The protocol is spoken on the file descriptors 3 and 4.
        wrapped = ["bash", "-c", f'exec "$@" 3<&{there} 4>&{back}', "bash", *command]
        self._process = subprocess.Popen(
            wrapped, pass_fds=(there, back), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for end in (near, far, there, back):
            os.close(end)
        self._number, self._buffer = 0, b""
        self.said: list[str] = []  # errors in the console
        pages = [target for target in self("Target.getTargets")["targetInfos"] if target["type"] == "page"]
        self._session = ""
        self._session = self("Target.attachToTarget", targetId=pages[0]["targetId"], flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self(f"{domain}.enable")
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self("Emulation.setEmulatedMedia", features=[scheme])
        self("Emulation.setDeviceMetricsOverride", width=size[0], height=size[1], deviceScaleFactor=1, mobile=False)

    _session = ""

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._in)
        os.close(self._out)

    def __call__(self, method: str, **parameters: Any) -> Any:
        """Call a method of the protocol and wait for its result."""
        self._number += 1
        call = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            call["sessionId"] = self._session
        os.write(self._out, json.dumps(call).encode() + b"\0")
        while True:
            told = self._next()
            if told.get("id") == self._number:
                if "error" in told:
                    raise ProtocolError(told["error"])
                return told["result"]
            if told.get("method") == "Runtime.exceptionThrown":
                details = told["params"]["exceptionDetails"]
                self.said.append(details.get("exception", {}).get("description", details["text"]))
            if told.get("method") == "Log.entryAdded" and told["params"]["entry"]["level"] == "error":
                self.said.append(told["params"]["entry"]["text"])

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            part = os.read(self._in, 1 << 16)
            assert part, "the browser has ended"
            self._buffer += part
        line, self._buffer = self._buffer.split(b"\0", 1)
        return dict(json.loads(line))

    def open(self, url: str) -> None:
        """Go to a page and wait until it is loaded."""
        self("Page.navigate", url=url)
        self.wait(
            f"location.href.split('#')[0] === {json.dumps(url.split('#')[0])} && document.readyState === 'complete'"
        )

    def js(self, expression: str) -> Any:
        """Value of an expression on the page; promises are awaited."""
        found = self("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def wait(self, expression: str, seconds: float = 30) -> None:
        """Until an expression is true."""
        end = time.monotonic() + seconds
        while not self._true(expression):
            assert time.monotonic() < end, f"{expression} did not become true; the console says {self.said}"
            time.sleep(0.05)

    def _true(self, expression: str) -> bool:
        try:
            return bool(self.js(expression))
        except ProtocolError:  # between two pages there is none to ask
            return False

    def mouse(self, kind: str, x: float, y: float, **given: Any) -> None:
        self("Input.dispatchMouseEvent", type=kind, x=x, y=y, **given)

    def picture(self) -> bytes:
        """A screenshot as PNG."""
        return base64.b64decode(self("Page.captureScreenshot", format="png")["data"])
