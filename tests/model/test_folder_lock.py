"""The lock of a run folder, between real processes and with the owner on another machine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from attrs import asdict, evolve

from ddmi_core.errors import OutputError
from ddmi_core.model.folder_lock import PREFIX, STALE, locked, this_process
from processes import environment

HOLD = """
import sys, pathlib
from ddmi_core.model.folder_lock import locked
with locked(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""
pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="only Linux tells starts of processes")


@pytest.fixture
def holder(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def no_wait(seconds):
    raise AssertionError("a process of this machine decides at once")


def test_running_and_stopped_owners_hold_and_killed_ones_do_not(tmp_path, holder):
    for number in (signal.SIGCONT, signal.SIGSTOP):
        os.kill(holder.pid, number)
        with pytest.raises(OutputError, match=f"process {holder.pid} on .*Fix: wait"), locked(tmp_path, sleep=no_wait):
            pass
    holder.kill()
    os.waitid(os.P_PID, holder.pid, os.WEXITED | os.WNOWAIT)  # a zombie, as under a launcher that does not look
    with locked(tmp_path, sleep=no_wait):
        assert len(list(tmp_path.iterdir())) == 2
        with pytest.raises(OutputError, match=f"process {os.getpid()} "), locked(tmp_path, sleep=no_wait):
            pass
    assert not list(tmp_path.iterdir())


def test_another_process_with_the_number_of_the_owner_does_not_hold(tmp_path):
    owner = evolve(this_process(), start="1")
    (tmp_path / f"{PREFIX}0").write_text(json.dumps(asdict(owner)))
    with locked(tmp_path, sleep=no_wait):
        pass


@pytest.mark.parametrize("text", [json.dumps(asdict(evolve(this_process(), host="elsewhere"))), "", "[1]"])
@pytest.mark.parametrize("alive", [True, False])
def test_the_heartbeat_decides_on_other_machines(tmp_path, text, alive):
    place, now = tmp_path / f"{PREFIX}3", [0.0]
    place.write_text(text)

    def sleep(seconds):
        now[0] += seconds
        if alive and now[0] == 10:
            os.utime(place, (5, 5))

    attempt = locked(tmp_path, clock=lambda: now[0], sleep=sleep)
    if alive:
        with pytest.raises(OutputError, match="is in use"), attempt:
            pass
        assert now[0] == 10
    else:
        with attempt:
            assert STALE <= now[0] < STALE + 2
        assert not list(tmp_path.iterdir())
