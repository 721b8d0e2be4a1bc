"""The tracer counts named functions, and journeys through the code stay short."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

TRACE = Path(__file__).parents[2] / "tools" / "trace.py"
# Functions and files of each journey at most: raised only for a new capability, such as periodic axes, extensions,
# the account of a data set, colour profiles, fine-tuning, or random numbers that do not depend on the number of
# processes.
LIMITS = {
    "A picture to its loss": (230, 50),
    "A run folder to a model": (179, 49),
    "Noise to a PNG file": (159, 42),
    "`--set` to a module": (86, 25),
}
PROGRAM = """
import threading
from functools import cached_property


def decorated(function):
    def wrapper():
        return function()

    return wrapper


def main():
    class Local:
        size = len([n for n in range(3)])

        @property
        def twice(self):
            return 2 * self.size

        @cached_property
        def half(self):
            return self.size // 2

    thing = Local()
    thing.twice, thing.twice, thing.half
    sorted([2, 1], key=lambda n: -n)
    sum(once() for _ in range(2))
    list(numbers())
    decorated(nothing)()
    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()


def once():
    return 1


def numbers():
    yield 1
    yield 2


def nothing():
    pass


def elsewhere():
    pass


def never():
    pass
"""


def loaded(path: Path) -> ModuleType:
    """A module from its file."""
    spec = importlib.util.spec_from_file_location(f"traced_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def counts() -> dict[str, tuple[int, int]]:
    """Functions and files of each journey, as the program prints them."""
    printed = subprocess.run([sys.executable, TRACE], capture_output=True, text=True, check=True).stdout
    found = re.findall(r"^(.+): (\d+) functions in (\d+) files$", printed, re.MULTILINE)
    return {title: (int(functions), int(files)) for title, functions, files in found}


def test_named_functions_count_once_in_the_order_of_first_calls(tmp_path: Path) -> None:
    folder, outside = tmp_path / "counted", tmp_path / "outside.py"
    folder.mkdir()
    program = folder / "program.py"
    program.write_text(PROGRAM)
    outside.write_text("def helper(call):\n    call()\n")
    trace = loaded(TRACE)
    main, helper = loaded(program).main, loaded(outside).helper
    functions = trace.traced(lambda: helper(main), folders=(folder,), root=tmp_path)
    assert {function.file for function in functions} == {"counted/program.py"}
    assert [function.name for function in functions] == [
        "main",
        "main.<locals>.Local.twice",
        "main.<locals>.Local.half",
        "once",
        "numbers",
        "decorated",
        "decorated.<locals>.wrapper",
        "nothing",
        "elsewhere",
    ]


def test_each_journey_is_counted(counts: dict[str, tuple[int, int]]) -> None:
    assert counts.keys() == LIMITS.keys()
    assert all(functions > 10 and files > 5 for functions, files in counts.values())


@pytest.mark.parametrize("title", LIMITS)
def test_a_journey_stays_within_its_limits(counts: dict[str, tuple[int, int]], title: str) -> None:
    functions, files = counts[title]
    assert functions <= LIMITS[title][0]
    assert files <= LIMITS[title][1]
