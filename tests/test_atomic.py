"""Files appear whole, on the disk, and without what killed processes have left."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from ddmi_core import atomic
from ddmi_core.atomic import written_aside
from ddmi_core.errors import OutputError

KILLED = """
import os, signal, sys
from pathlib import Path
from ddmi_core.atomic import written_aside
with written_aside(Path(sys.argv[1])) as aside:
    aside.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_what_a_killed_process_left_is_removed_by_the_next_one(tmp_path):
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "sample-0001.png")], check=False)
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".partial-")
    alive = tmp_path / f"{atomic.temporary_prefix()}other.png"  # of this process, as of another thread
    alive.write_text("half")
    elsewhere = tmp_path / ".partial-000000-1-other.png"
    elsewhere.write_text("half")
    with written_aside(tmp_path / "sample-0000.png") as aside:
        aside.write_text("whole")
    assert {path.name for path in tmp_path.iterdir()} == {"sample-0000.png", alive.name, elsewhere.name}


def test_old_files_of_other_machines_are_removed(tmp_path):
    old = tmp_path / ".partial-000000-1-other.png"
    old.write_text("half")
    os.utime(old, (time.time() - 2 * atomic.ABANDONED,) * 2)
    with written_aside(tmp_path / "a") as aside:
        aside.write_text("whole")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


@pytest.mark.skipif(os.name != "posix", reason="folders are flushed on POSIX")
def test_the_file_is_flushed_before_it_gets_its_name_and_the_folder_after(tmp_path, monkeypatch):
    seen, flush = [], os.fsync

    def recorded(handle):
        place = os.readlink(f"/proc/self/fd/{handle}") if os.path.isdir("/proc/self/fd") else ""
        seen.append((place.rpartition("/")[2], (tmp_path / "a").exists()))
        flush(handle)

    monkeypatch.setattr(os, "fsync", recorded)
    with written_aside(tmp_path / "a") as aside:
        aside.write_text("whole")
    assert [there for _, there in seen] == [False, True]
    if seen[0][0]:
        assert [name for name, _ in seen] == [aside.name, tmp_path.name]


def test_a_failure_leaves_the_old_file_and_no_other(tmp_path):
    (tmp_path / "a").write_text("old")

    def write():
        with written_aside(tmp_path / "a") as aside:
            aside.write_text("new")
            raise OSError(28, "full")

    with pytest.raises(OutputError, match="no space left"):
        write()
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_text() == "old"
