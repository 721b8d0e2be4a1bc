"""A terminal shows long work in one line that fits and vanishes; a pipe gets nothing, a log a line per tenth."""

import os
import pty
import re
import struct
import subprocess
import sys
import termios
import time
from fcntl import ioctl
from io import StringIO

import pytest
from rich.console import Console

from ddmi_core.progress import Part, doing, listening
from ddmi_core.runs import progress_bar
from ddmi_core.runs.progress_bar import Lines, clock, described, line_of

WORK = """
import sys, threading
from ddmi_core.progress import tracked
from ddmi_core.runs import progress_bar
made, drawn, calls = progress_bar.line_of, threading.Event(), []
def counted(parts):
    calls.append(parts)
    if len(calls) == 3:  # the second one has been written
        drawn.set()
    return made(parts)
progress_bar.line_of = counted
progress_bar.DELAY, waiting = float(sys.argv[1]), float(sys.argv[2])
with progress_bar.on_terminal():
    for number in tracked("samples that are drawn, and have a name too long for a narrow terminal", range(2)):
        drawn.wait(waiting)
print("result")
"""


def in_terminal(columns: int, *numbers: float) -> tuple[str, str]:
    """What a program writes to standard output, and to a terminal as standard error."""
    ours, theirs = pty.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    environment = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "LINES")}
    command = [sys.executable, "-c", WORK, *map(str, numbers)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=theirs, env={**environment, "TERM": "xterm"}, text=True
    ) as process:
        os.close(theirs)
        seen = b""
        while True:
            try:
                part = os.read(ours, 4096)
            except OSError:
                break
            if not part:
                break
            seen += part
        out = process.stdout.read()
    os.close(ours)
    return out, seen.decode()


def test_a_terminal_shows_a_line_that_fits_and_standard_output_stays_clean():
    out, seen = in_terminal(60, 0.0, 60.0)
    assert out == "result\n"
    texts = re.split(r"\x1b\[[^A-Za-z]*[A-Za-z]|[\r\n]", seen)
    lines = [line for line in texts if "samples" in line]
    assert any(re.match(r"[-/|\\] 0:\d\d samples that are drawn", line) for line in lines)
    assert max(map(len, lines)) <= 60
    assert seen.rstrip().endswith(("\x1b[2K", "\x1b[?25h"))  # the line is erased, and the cursor back


def test_short_work_shows_nothing():
    assert in_terminal(80, 60.0, 0.0) == ("result\n", "")


def test_a_pipe_gets_nothing():
    done = subprocess.run([sys.executable, "-c", WORK, "0", "0.3"], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("result\n", "")


def part(what: str, done: int, total: int, each: float | None = None) -> Part:
    made = Part(what, total)
    made.done = done
    if each is not None:
        made._pace.mark(1, made.began + each)
    return made


def test_the_outermost_part_that_can_tell_has_the_time_left():
    inner = part("sampling steps", 5, 10, each=1.0)
    assert described([part("evaluation", 0, 0), part("samples", 0, 500), inner]) == [
        "evaluation",
        "samples 0/500",
        "sampling steps 5/10, about 5 s left",
    ]
    assert described([part("samples", 64, 500, each=1.0), inner])[0] == "samples 64/500, about 7 min left"
    assert described([part("batches", 0, 1), inner]) == ["sampling steps 5/10, about 5 s left"]
    assert str(line_of([inner]))[2:] == "0:00 sampling steps 5/10, about 5 s left"


@pytest.mark.parametrize(("seconds", "text"), [(5, "0:05"), (65.9, "1:05"), (7205, "2:00:05")])
def test_a_clock_has_minutes_and_seconds(seconds, text):
    assert clock(seconds) == text


def test_a_log_has_a_line_per_tenth_of_a_part_that_takes_long(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    text = StringIO()
    with listening(Lines(Console(file=text, width=200), "evaluation")), doing("samples", 20) as samples:
        for _ in range(20):
            now[0] += progress_bar.LONG / 5
            with doing("sampling steps", 2) as steps:
                steps.advance()
            samples.advance()
    lines = text.getvalue().splitlines()
    assert lines[0] == "evaluation: samples 4/20, about 2 min left"
    assert lines[-1] == "evaluation: samples 20/20"
    assert [line.split()[2].split("/")[0] for line in lines] == ["4", "6", "8", "10", "12", "14", "16", "18", "20"]
