"""The example of a domain in one file: as a file, as a program that calls commands, and against the contract."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from test_docs import environment, run_page

import preloaded
from ddmi_core.registry.registry import unregister
from ddmi_core.testing import CHECKS, NotApplicable, Subject

EXAMPLE = Path(__file__).parents[2] / "examples" / "one_file.py"
TINY = str(Path(__file__).parents[1] / "tiny_grid.toml")


@pytest.fixture
def place(tmp_path, monkeypatch):
    """The reader's folder with the file."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    shutil.copyfile(EXAMPLE, "pond.py")
    yield tmp_path
    unregister("pond")


def test_the_commands_of_the_page_print_what_it_shows(place):
    run_page("tutorials/one-file.md", place, ("--config", TINY))
    assert len(list((place / "drawn").glob("*.png"))) == 4
    assert not (place / "from-them").exists()


@pytest.mark.parametrize("start", [["pond.py"], ["-m", "pond"]])
def test_the_file_is_a_program_that_calls_commands_with_its_domain(place, start):
    def command(*arguments):
        program = [preloaded.python(), *start, *arguments]
        return subprocess.run(program, env=environment(), capture_output=True, text=True, check=False)

    done = command("run", "--plugin", "pond", "--config", TINY)
    assert (done.returncode, done.stdout) == (0, "runs/pond/report.html\n"), done.stderr
    assert not (place / "runs" / "pond" / "plugin.py").exists()
    done = command("sample", "runs/pond", "-n", "1", "--out", "drawn")
    assert (done.returncode, done.stdout) == (0, "wrote 1 file to drawn\n"), done.stderr
    assert command("run", "--plugin", "lake").returncode == 2


def test_the_example_satisfies_the_contract(place):
    failed, passed = {}, []
    with Subject("./pond.py", settings=["domain.size=16", "domain.count=40"]) as subject:
        for check in CHECKS:
            try:
                check(subject)
                passed.append(check.name)
            except NotApplicable:
                continue
            except Exception as error:
                failed[check.name] = str(error)
    assert failed == {}
    assert {"no_network", "global_state", "nothing_is_left"} <= set(passed)  # a fresh process has imported the file
