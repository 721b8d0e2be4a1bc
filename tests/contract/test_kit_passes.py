"""Sound plugins keep every contract, by each of the three ways to ask: a class, parameters, and the command."""

from __future__ import annotations

import json
import subprocess
import sys

import broken
import pytest
from small_sound import ROOT, SMALL
from typer.testing import CliRunner

import ddmi_core.testing
import formula_domains
from ddmi_core.cli.main import app
from ddmi_core.errors import RequestError
from ddmi_core.registry.registry import unregister
from ddmi_core.testing import CHECKS, DomainContract, Subject, check_named, checks, examine
from variants import variant

LARGE_FIRST = variant(formula_domains.BLOCK, report_views=broken.large_to_small, presets=formula_domains.Blocks.presets)


class TestWave(DomainContract):
    """One axis, by the class."""

    domain = formula_domains.WAVE


@pytest.fixture(scope="module")
def block():
    with Subject(LARGE_FIRST) as subject:
        yield subject


@pytest.mark.parametrize("check", checks(expected_failures={"views": "they go from large to small"}))
def test_block_keeps_the_contract_but_for_its_views(check, block):
    check(block)


@pytest.mark.parametrize(("name", "settings"), [("image", ("domain.limit=200",)), ("audio", SMALL)])
def test_plugins_keep_the_contract(name, settings, sound):
    with Subject(sound if name == "audio" else name, settings=settings) as subject:
        found = examine(subject)
    print(found.summary())
    assert not found.failed, [outcome.lines() for outcome in found.failed]
    passed = {outcome.check for outcome in found.outcomes if outcome.state == "ok"}
    assert {check.name for check in CHECKS} - passed <= {"conditions", "evaluations", "weights", "description_is_light"}


def test_the_class_has_a_test_for_every_check():
    assert {f"test_{check.name}" for check in CHECKS} == {name for name in dir(DomainContract) if name[:5] == "test_"}
    assert TestWave.test_encoder.__doc__ == check_named("encoder").contract


def test_expected_failures_are_strict_and_known():
    class Expecting(DomainContract):
        domain = "wave"
        expected_failures = {"check_views": "they go from large to small"}  # noqa: RUF012 - as authors write it

    (mark,) = Expecting.test_views.pytestmark
    assert mark.kwargs == {"reason": "they go from large to small", "strict": True}
    assert not hasattr(Expecting.test_encoder, "pytestmark")
    with pytest.raises(RequestError, match="did you mean 'views'"):
        checks(expected_failures={"view": "-"})


def test_every_check_says_its_contract_in_one_sentence():
    for check in CHECKS:
        assert check.contract.endswith("."), check.name
        assert ". " not in check.contract, check.name
    assert len({check.name for check in CHECKS}) == len(CHECKS)


def test_every_public_name_of_the_kit_is_on_its_page():
    text = (ROOT / "docs/reference/testing.md").read_text(encoding="utf-8")
    assert [name for name in ddmi_core.testing.__all__ if name not in text] == []


def test_importing_the_kit_imports_neither_torch_nor_pytest():
    program = "import sys, ddmi_core.testing as t; t.__all__; sys.exit(bool({'torch', 'pytest'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@pytest.fixture
def registered():
    ddmi_core.register(LARGE_FIRST)
    yield
    unregister(LARGE_FIRST.name)


def run(*arguments):
    return CliRunner().invoke(app, ["plugins", "test", *arguments])


def test_the_command_ends_well_for_a_sound_plugin(registered):
    result = run("block", "--only", "encoder", "--only", "weights")
    assert result.exit_code == 0, result.output
    first, second, summary = result.stdout.splitlines()
    assert first == "ok       encoder"
    assert second == "skipped  weights  (the domain ships no weights)"
    assert summary.startswith("block: 2 checks, 1 ok, 1 skipped, in ")


def test_the_command_says_what_is_broken_and_what_to_change(registered):
    result = run("block", "--only", "views")
    assert result.exit_code == 1
    assert "FAILED   views" in result.stdout
    assert "cells (" in result.stdout
    assert "fix: order them by size" in result.stdout


def test_the_command_prints_json_alone(registered):
    result = run("block", "--only", "views", "--only", "encoder", "--json")
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    assert found["plugin"] == "block"
    assert [(row["check"], row["state"]) for row in found["checks"]] == [("views", "FAILED"), ("encoder", "ok")]
    assert found["checks"][0]["numbers"].keys() == {"cells"}


@pytest.mark.parametrize("arguments", [("blok",), ("block", "--only", "vews"), ()])
def test_the_command_refuses_what_it_does_not_know(registered, arguments):
    result = run(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""


def test_the_command_lists_checks_without_a_plugin():
    result = run("--list")
    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) == len(CHECKS)
    assert check_named("encoder").contract in result.stdout
    assert [row["check"] for row in json.loads(run("--list", "--json").stdout)] == [check.name for check in CHECKS]
