"""Strict types of a new plugin find a wrong signature of every method that it can override."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen
from made_plugins import name_of

from ddmi_core.parts import DomainParts, GridDomain

ROOT = Path(__file__).parents[2]
PACKAGE = f"ddmi_{name_of('xy')}".replace("-", "_")
BASES: dict[type[DomainParts[Any, Any, Any, Any]], str] = {
    GridDomain: "GridDomain[Settings]",
    DomainParts: "DomainParts[Settings, GridSignal, int, GridArtefact]",
}
# A view of a grid is whatever the plugin's renderer takes, so any type is right.
FREE_RESULTS = {(GridDomain, "parse_view")}
HEAD = f"""
from __future__ import annotations

from functools import cached_property
from typing import Any

from ddmi_core.api import CoordinateSampler
from ddmi_core.parts import DomainParts, GridArtefact, GridDomain, GridSignal, OnGrids

from {PACKAGE}.settings import Settings


class Wrong:
    '''Fits nowhere.'''
"""


@frozen
class Case:
    """A class with one override."""

    base: type[DomainParts[Any, Any, Any, Any]]
    method: str
    variant: str
    body: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"{self.base.__name__}_{self.method}_{self.variant}"

    @property
    def right(self) -> bool:
        return self.variant.startswith("right")

    @property
    def lines(self) -> tuple[str, ...]:
        return ("", "", f"class {self.name}({BASES[self.base]}):", *(f"    {line}" for line in self.body))


def overridable(base: type) -> list[str]:
    """Public names of a class and of its bases."""
    annotated = {name for cls in base.__mro__ for name in inspect.get_annotations(cls)}
    return sorted(name for name in annotated | set(dir(base)) if not name.startswith("_"))


def defined(member: object) -> tuple[tuple[str, ...], Callable[..., object] | None]:
    """Decorators of a member, and its function; None for an attribute."""
    if isinstance(member, property | cached_property):
        return ("@cached_property",), member.fget if isinstance(member, property) else member.func
    if isinstance(member, classmethod):
        return ("@classmethod",), member.__func__
    return (), member if inspect.isfunction(member) else None


def cases(base: type[DomainParts[Any, Any, Any, Any]]) -> Iterator[Case]:
    """One right override of each name, and its wrong ones: arguments, their number, and the result."""
    for name in overridable(base):
        decorators, function = defined(inspect.getattr_static(base, name, None))
        if function is None:
            yield Case(base, name, "attribute", (f"{name} = Wrong()",))
            continue
        own, *given = inspect.signature(function).parameters

        def case(variant: str, arguments: list[str], result: str = "Any", marks: tuple[str, ...] = decorators) -> Case:
            signature = f"def {name}({', '.join([own, *arguments])}) -> {result}:"  # noqa: B023 - used in this turn
            return Case(base, name, variant, (*marks, signature, "    raise NotImplementedError"))  # noqa: B023

        loose = [f"{argument}: Any" for argument in given]
        yield case("right", loose)
        if (base, name) not in FREE_RESULTS:
            yield case("result", loose, "Wrong")
        if "@cached_property" in decorators:
            yield case("method", loose, marks=())
            continue
        yield case("one_more", [*loose, "another: Any"])
        for number, argument in enumerate(given):
            yield case(f"without_{argument}", loose[:number] + loose[number + 1 :])
            yield case(f"type_of_{argument}", [*loose[:number], f"{argument}: Wrong", *loose[number + 1 :]])


OWN_SAMPLER = Case(
    GridDomain,
    "sampler",
    "right_of_another_class",
    ("@cached_property", "def sampler(self) -> CoordinateSampler[OnGrids]:", "    raise NotImplementedError"),
)
CASES = {case.name: case for case in (*cases(GridDomain), *cases(DomainParts), OWN_SAMPLER)}


@pytest.fixture(scope="module")
def errors(made: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What mypy says about each class, by its name."""
    lines, owners = HEAD.strip().splitlines(), {}
    for case in CASES.values():
        start = len(lines)
        lines += case.lines
        owners |= dict.fromkeys(range(start + 1, len(lines) + 1), case.name)
    folder = tmp_path_factory.mktemp("overrides")
    (folder / "overrides.py").write_text("\n".join(lines) + "\n")
    config = folder / "mypy.ini"
    config.write_text(f"[mypy]\nstrict = True\nmypy_path = {made['xy']}\n")
    options = ("--config-file", config, "--cache-dir", ROOT / ".mypy_cache")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--no-error-summary", *options, folder / "overrides.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    found: dict[str, list[str]] = {name: [] for name in CASES}
    for line in done.stdout.splitlines():
        place = re.search(r"overrides\.py:(\d+): error: (.+)", line)
        if place:
            found[owners[int(place[1])]].append(place[2])
        else:
            assert ": note: " in line, done.stdout + done.stderr
    return found


@pytest.mark.parametrize("name", CASES)
def test_a_wrong_signature_is_an_error_and_a_right_one_is_not(name: str, errors: dict[str, list[str]]) -> None:
    if CASES[name].right:
        assert errors[name] == []
    else:
        assert any("[override]" in error or "[assignment]" in error for error in errors[name]), errors[name]


def members(base: type) -> set[str]:
    """Public names that the source of a class defines."""
    (tree,) = ast.parse(inspect.getsource(base)).body
    assert isinstance(tree, ast.ClassDef)
    names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    names |= {
        node.target.id for node in tree.body if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }
    return {name for name in names if not name.startswith("_")}


def test_every_method_has_a_right_and_a_wrong_override() -> None:
    wrong, right = (
        {(case.base, case.method) for case in CASES.values() if case.right is well} for well in (False, True)
    )
    expected = {
        (base, name) for base in BASES for cls in base.__mro__ if issubclass(cls, DomainParts) for name in members(cls)
    }
    assert wrong == expected
    assert {name for _, name in wrong - right} == {"settings_type"}
