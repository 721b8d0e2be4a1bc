"""`ddmi view` says where the page is, ends at once when it is interrupted, and tells what it cannot do."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from http.client import HTTPConnection
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ddmi_core.cli.main import app

STARTED = "import sys; sys.path.insert(0, sys.argv.pop(1)); import formula_domains, ddmi_core; ddmi_core.register(formula_domains.WAVE); from ddmi_core.cli.main import main; main()"  # fmt: skip  # noqa: E501


@pytest.fixture
def shown(runs):
    """A page of the command in a process of its own, with its address."""
    command = [
        sys.executable,
        "-c",
        STARTED,
        Path(__file__).parents[1],
        "view",
        runs["wave"],
        "--port",
        "0",
        "--no-open",
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # A shell starts what runs in its background with interrupts ignored, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    line = process.stdout.readline()
    match = re.search(r"http://127\.0\.0\.1:(\d+)/\?token=([\w-]{32})", line)
    assert match, line + process.stderr.read()
    yield process, int(match[1]), match[2]
    process.kill()
    process.communicate()


def ask(port: int, token: str, method: str, path: str, body: str | None = None) -> HTTPConnection:
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request(method, path, body, {"Authorization": f"Bearer {token}"})
    return connection


def test_an_interrupt_ends_what_does_not_stop_by_itself_too(runs):
    program = """
import os, signal, sys, threading, time
from ddmi_core.viewer import server
class Stuck(server.Server):
    def serve_forever(self):
        threading.Thread(target=self.hold, daemon=True).start()
        time.sleep(0.2)
        raise KeyboardInterrupt
    def hold(self):
        with self.queue.admit("", 0):
            time.sleep(60)
server.Server, server.Session = Stuck, lambda *given: None
server.serve(lambda: None, "stuck", 0, browser=False, notice=lambda line: None)
"""
    begin = time.monotonic()
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert time.monotonic() - begin < 20
    assert (done.returncode, done.stderr) == (130, "interrupted\n")


@pytest.mark.parametrize("busy", [False, True])
def test_an_interrupt_ends_it_at_once(busy, shown):
    process, port, token = shown
    idle = ask(port, token, "GET", "/")
    assert idle.getresponse().status == 200
    working = ask(port, token, "POST", "/samples", json.dumps({"n": 64, "steps": 1000})) if busy else None
    time.sleep(0.3)
    begin = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=10)
    assert time.monotonic() - begin < 5
    assert process.returncode == 130
    assert said.split() == ["interrupted"]
    for connection in filter(None, (idle, working)):
        connection.close()


def test_a_port_that_is_taken_ends_with_a_sentence(runs, registered):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = CliRunner().invoke(app, ["view", str(runs["wave"]), "--port", str(port), "--no-open"])
    assert result.exit_code == 1
    assert (
        f"port {port} of 127.0.0.1 cannot be used: address already in use; choose another with --port" in result.output
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "give either the folder of a RUN or --plugin NAME"),
        (("nowhere",), "there is no run folder nowhere; train one with ddmi run"),
        (("--plugin", "nothing"), "nothing"),
        (("--port", "70000", "nowhere"), "--port"),
    ],
)
def test_a_wrong_request_ends_with_status_2(arguments, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["view", *arguments])
    assert result.exit_code == 2
    assert said in result.output


def test_help_imports_no_torch():
    program = "import sys; sys.argv = ['ddmi', 'view', '--help']\nfrom ddmi_core.cli.main import app\ntry: app()\nexcept SystemExit: pass\nassert 'torch' not in sys.modules"  # noqa: E501
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "Serve a local page" in done.stdout
