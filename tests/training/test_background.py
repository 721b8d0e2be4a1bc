"""Checkpoints are written beside the training, one at a time, from a copy; errors reach the user."""

from __future__ import annotations

import subprocess
import threading
from pathlib import Path

import pytest
import torch
from attrs import evolve
from test_trainer import CONFIG, Regression, run_through, same, stage

import preloaded
from ddmi_core.errors import OutputError
from ddmi_core.training import background, checkpoint
from ddmi_core.training.background import BackgroundWriter
from ddmi_core.training.trainer import train
from processes import environment


def test_what_is_written_is_the_state_when_it_was_saved():
    weights, go, written = torch.zeros(3, 2), threading.Event(), []

    def write(groups):
        go.wait(30)
        written.append(groups)

    with BackgroundWriter() as writer:
        writer.save({"main": {"weights": weights.T}}, write)
        weights += 1
        assert written == []  # the training goes on meanwhile
        go.set()
    assert torch.equal(written[0]["main"]["weights"], torch.zeros(2, 3))
    assert written[0]["main"]["weights"].is_contiguous()


def test_one_checkpoint_at_a_time_is_written():
    running, most = [0], [0]

    def write(groups):
        running[0] += 1
        most[0] = max(most[0], running[0])
        threading.Event().wait(0.02)
        running[0] -= 1

    with BackgroundWriter() as writer:
        for _ in range(4):
            writer.save({"main": {"weights": torch.zeros(2)}}, write)
    assert most == [1]
    assert running == [0]


@pytest.mark.parametrize(("free", "beside"), [(4 * 4 * 100, True), (4 * 4 * 100 - 1, False)])
def test_a_state_of_more_than_a_quarter_of_the_free_memory_is_written_at_once(free, beside, monkeypatch):
    monkeypatch.setattr(background, "free_memory", lambda: free)
    weights, seen = torch.zeros(100), []
    with BackgroundWriter() as writer:
        writer.save({"a": {"w": weights[:50]}, "b": {"w": weights[50:]}}, lambda groups: seen.append((groups, where())))
    ((groups, thread),) = seen
    assert thread == (("checkpoint", True) if beside else ("MainThread", False))  # no hanging write keeps the program
    assert (groups["a"]["w"].data_ptr() != weights.data_ptr()) == beside


def where() -> tuple[str, bool]:
    """Name of the thread, and whether the program may end before it."""
    return threading.current_thread().name, threading.current_thread().daemon


def failing(groups):
    raise OutputError("no space left")


def test_an_error_of_the_thread_is_raised_once_at_the_next_look():
    writer = BackgroundWriter()
    writer.save({}, failing)
    with pytest.raises(OutputError, match="no space left"):
        writer.wait()
    writer.check()
    writer.save({}, failing)
    with pytest.raises(OutputError, match="no space left"):
        writer.save({}, lambda groups: None)
    with pytest.raises(OutputError), BackgroundWriter() as writer:
        writer.save({}, failing)
    with pytest.raises(ZeroDivisionError):
        _fail_in_the_block()


def _fail_in_the_block():
    with BackgroundWriter() as writer:
        writer.save({}, failing)
        raise ZeroDivisionError


def test_a_training_ends_when_a_checkpoint_cannot_be_written(tmp_path, monkeypatch):
    steps, save = [], checkpoint.save

    def full(folder, *given):
        if folder.name == "step-00000004":
            raise OutputError("no space left")
        return save(folder, *given)

    monkeypatch.setattr(checkpoint, "save", full)
    with pytest.raises(OutputError, match="no space left"):
        train(stage(tmp_path, evolve(CONFIG, log=1)), {"main": Regression(steps.append)})
    assert steps[-1] < 8  # long before the end, at the latest at the next checkpoint
    monkeypatch.undo()
    assert same(
        run_through(tmp_path, config=evolve(CONFIG, log=1)),
        run_through(tmp_path / "other", config=evolve(CONFIG, log=1)),
    )


@pytest.mark.parametrize("free", [0, 2**40])
def test_training_gives_the_same_bytes_either_way(free, tmp_path, monkeypatch):
    threads, save = set(), checkpoint.save
    monkeypatch.setattr(background, "free_memory", lambda: free)
    monkeypatch.setattr(checkpoint, "save", lambda *given: (threads.add(where()), save(*given)))
    found = run_through(tmp_path / "found")
    assert (("checkpoint", True) in threads) == bool(free)
    monkeypatch.undo()
    assert same(found, run_through(tmp_path / "expected"))


KILLED = """
import os, signal, sys
from pathlib import Path
from ddmi_core.training import checkpoint
from test_trainer import Regression, stage
from ddmi_core.training.trainer import train

write = checkpoint.write_synced

def dying(path, pieces):
    write(path, pieces)
    if "step-00000008" in str(path):
        os.kill(os.getpid(), signal.SIGKILL)

checkpoint.write_synced = dying
train(stage(Path(sys.argv[1])), {"main": Regression()})
"""


def test_a_process_that_is_killed_while_the_thread_writes_leaves_the_previous_checkpoint(tmp_path):
    script = tmp_path / "killed.py"
    script.write_text(KILLED)
    paths = {"PYTHONPATH": f"{Path(__file__).parent}:{environment()['PYTHONPATH']}"}
    done = subprocess.run(
        [preloaded.python(), script, tmp_path / "run"], env=environment() | paths, check=False, timeout=240
    )
    assert done.returncode == -9
    newest, skipped = checkpoint.newest(tmp_path / "run" / "stage")
    assert newest is not None
    assert (newest.folder.name, skipped) == ("step-00000004", [])
    assert same(run_through(tmp_path / "run"), run_through(tmp_path / "undisturbed"))
