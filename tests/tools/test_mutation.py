"""The pure parts of the mutation test: which tests it runs, intervals, and the report."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("mutation", ROOT / "tools" / "mutation.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def mutant(package: str, killed: bool, line: int = 7) -> dict:
    diff = "--- mutation diff ---\n--- a/x.py\n+++ b/x.py\n@@ -7 +7 @@\n x = 1\n-y = x + 1\n+y = x - 1\n"
    return {"package": package, "module": f"ddmi_core/{package}/x.py", "line": line, "killed": killed, "diff": diff}


def test_the_tests_named_like_the_module_come_before_those_of_the_package(tool, monkeypatch):
    monkeypatch.chdir(ROOT)
    found = tool.tests_of({"package": "fields", "module": "ddmi_core/fields/fast/scattered.py"})
    assert found == ["tests/fields/fast/test_scattered.py", "tests/fields"]
    assert tool.tests_of({"package": "fields", "module": "ddmi_core/fields/layout.py"}) == ["tests/fields"]
    assert all((ROOT / "tests" / package).is_dir() for package in tool.PACKAGES)
    assert all((ROOT / name).exists() for name in tool.COPIED)


@pytest.mark.parametrize(
    ("killed", "total", "expected"),
    [(0, 10, (0.0, 0.2775)), (5, 10, (0.2366, 0.7634)), (10, 10, (0.7225, 1.0)), (81, 263, (0.2553, 0.3662))],
)
def test_intervals_are_wilson_s(tool, killed, total, expected):
    assert tool.interval(killed, total) == pytest.approx(expected, abs=1e-4)


def test_the_test_that_killed_is_the_first_that_failed(tool):
    output = "..F\nsome text\nFAILED tests/a.py::test_b - assert 1 == 2\nFAILED tests/a.py::test_c\n"
    assert tool.killer(output) == "FAILED tests/a.py::test_b - assert 1 == 2"
    assert (tool.killer("timeout"), tool.killer("12 passed")) == ("timeout", "")


def test_the_report_has_shares_by_package_and_what_survived(tool):
    results = [mutant("fields", True), mutant("fields", False, 9), mutant("training", True)]
    text = tool.report(results, {"fields": 200, "diffusion": 50, "training": 100})
    rows = [line for line in text.splitlines() if line.startswith("| ")][1:]
    assert rows == [
        "| fields | 200 | 2 | 1 | 50.0% | 9.5% to 90.5% |",
        "| training | 100 | 1 | 1 | 100.0% | 20.7% to 100.0% |",
        "| all | 350 | 3 | 2 | 66.7% | 20.8% to 93.9% |",
    ]
    assert text.endswith("\nddmi_core/fields/x.py:9\n```diff\n-y = x + 1\n+y = x - 1\n```\n")


def test_packages_take_turns(tool):
    assert tool.in_turn([["a1", "a2", "a3"], ["b1"], ["c1", "c2"]]) == ["a1", "b1", "c1", "a2", "c2", "a3"]


def test_mutants_are_listed_with_their_places(tool):
    pytest.importorskip("cosmic_ray")
    found = list(tool.mutants("fields"))
    assert len({tool.key(one) for one in found}) == len(found) > 100
    for one in found:
        assert one["operator"].removeprefix("core/") in tool.OPERATORS
        assert one["line"] == one["span"][0][0]
