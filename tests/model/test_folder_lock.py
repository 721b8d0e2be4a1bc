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
from ddmi_core.evaluation.results import Evaluation
from ddmi_core.model.folder_lock import PREFIX, STALE, locked
from ddmi_core.process_identity import this_process
from ddmi_core.training import checkpoint
from ddmi_core.training.log import Log
from formula_domains import WAVE
from processes import environment
from whole_runs import run

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


def taken_over(folder):
    """Leave the file of a process on another machine, which has seen no sign of life for long."""
    (folder / f"{PREFIX}1").write_text(json.dumps(asdict(evolve(this_process(), host="node7", pid=42))))


WRITES = {
    "a file": lambda folder: Evaluation(()).save(folder / "metrics.json"),
    "a file in a folder": lambda folder: checkpoint.write_group(folder / "latents" / "a.safetensors", {}),
    "a checkpoint": lambda folder: checkpoint.save(folder / "denoiser" / "final", {}, {}),
    "a line of the log": lambda folder: Log(folder / "log.jsonl").write("denoiser", 1, {}),
}


@pytest.mark.parametrize("what", WRITES)
def test_an_owner_that_was_suspended_and_lost_the_lock_writes_nothing_more(tmp_path, what):
    folder = tmp_path / "run"
    folder.mkdir()
    lost = r"no sign of life for over 90 s, and lost .*run to process 42 on 'node7'.*Fix: wait for the end of the other"
    with locked(folder):
        WRITES[what](folder)
        taken_over(folder)
        before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        with pytest.raises(OutputError, match=lost):
            WRITES[what](folder)
        Evaluation(()).save(tmp_path / "metrics.json")  # another folder is not concerned
        assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    assert [path.name for path in folder.glob(f"{PREFIX}*")] == [f"{PREFIX}1"]
    WRITES[what](folder)


def test_an_owner_whose_lock_is_gone_writes_nothing_more(tmp_path):
    with locked(tmp_path):
        (tmp_path / f"{PREFIX}0").unlink()
        with pytest.raises(OutputError, match="to another process"):
            Evaluation(()).save(tmp_path / "metrics.json")


def test_a_checkpoint_in_progress_leaves_that_of_the_new_owner(tmp_path, monkeypatch):
    """Both use the same temporary name, so the old owner neither writes into the folder nor removes it."""
    writing = checkpoint.write_synced

    def suspended(path, pieces):
        writing(path, pieces)
        taken_over(tmp_path)
        path.write_bytes(b"of the new owner")

    monkeypatch.setattr(checkpoint, "write_synced", suspended)
    with locked(tmp_path), pytest.raises(OutputError, match=r"lost .* to process 42"):
        checkpoint.save(tmp_path / "final", {"a": {}, "b": {}}, {})
    (left,) = tmp_path.glob(".final.partial/*")
    assert left.read_bytes() == b"of the new owner"


def test_a_training_whose_lock_was_taken_over_ends_with_a_sentence(tmp_path, monkeypatch):
    writing, names = checkpoint.save, []

    def suspended(folder, *rest):
        if len(names) == 1:
            taken_over(tmp_path / "wave")
        names.append(folder.name)
        return writing(folder, *rest)

    monkeypatch.setattr(checkpoint, "save", suspended)
    with pytest.raises(OutputError, match=r"lost .* to process 42 on 'node7'.*continue with: ddmi run .* --resume"):
        run(WAVE, tmp_path / "wave")
    assert names == ["step-00000020", "step-00000040"]
    assert [path.name for path in (tmp_path / "wave" / "autoencoder").iterdir()] == ["step-00000020"]
