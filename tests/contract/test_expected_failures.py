"""Expected failures of the command: options, the plugin's pyproject.toml, and what is reported."""

from __future__ import annotations

import json
import sys

import broken
import pytest
from typer.testing import CliRunner

import ddmi_core
import formula_domains
from ddmi_core.cli.main import app
from ddmi_core.errors import ConfigError, RequestError
from ddmi_core.registry.registry import unregister
from ddmi_core.testing import Subject, check_named, examine, expected_failures
from ddmi_core.testing.expected import parsed
from variants import variant

LARGE_FIRST = variant(formula_domains.BLOCK, report_views=broken.large_to_small, presets=formula_domains.Blocks.presets)
PROJECT = """
[project]
name = "ddmi-block"
version = "1.0"
[project.entry-points."ddmi.plugins"]
block = "block_plugin"
[tool.ddmi.expected-failures]
views = "they go from large to small"
"""


@pytest.fixture(autouse=True)
def registered():
    ddmi_core.register(LARGE_FIRST)
    yield
    unregister(LARGE_FIRST.name)


@pytest.fixture
def project(tmp_path, monkeypatch):
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    (tmp_path / "src").mkdir()
    monkeypatch.chdir(tmp_path / "src")
    return tmp_path / "pyproject.toml"


def run(*arguments):
    return CliRunner().invoke(app, ["plugins", "test", "block", "--only", "views", "--only", "names", *arguments])


def test_a_failure_that_is_expected_ends_well():
    result = run("--expect-failure", "views=they go from large to small")
    assert result.exit_code == 0, result.output
    first, second, summary = result.stdout.splitlines()
    assert first == "xfailed  views  (they go from large to small)"
    assert second.startswith("ok ")
    assert summary.startswith("block: 2 checks, 1 ok, 1 xfailed, in ")


def test_an_expected_failure_that_passes_is_reported():
    result = run("--expect-failure", "views=-", "--expect-failure", "check_names=they repeat", "--json")
    assert result.exit_code == 1
    states = {row["check"]: row["state"] for row in json.loads(result.stdout)["checks"]}
    assert states == {"views": "xfailed", "names": "XPASSED"}
    told = run("--expect-failure", "views=-", "--expect-failure", "names=they repeat").stdout
    assert "  XPASSED names: it passed, and a failure was expected: they repeat" in told
    assert "fix: remove it from the expected failures" in told


def test_the_summary_says_which_failed_and_why():
    result = run()
    assert result.exit_code == 1
    *_, summary, reason = result.stdout.splitlines()
    assert summary.startswith("block: 2 checks, 1 ok, 1 failed, in ")
    assert reason.startswith("  FAILED views: views are not ordered from small to large (cells (")


def test_the_projects_own_table_is_read(project):
    assert expected_failures("block") == {"views": "they go from large to small"}
    assert run().exit_code == 0


def test_the_project_above_the_plugins_modules_is_found(project, monkeypatch, tmp_path_factory):
    package = project.parent / "src" / "block_parts"
    package.mkdir()
    (package / "__init__.py").write_text("from formula_domains import Blocks\n")
    monkeypatch.syspath_prepend(project.parent / "src")
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    unregister("block")
    ddmi_core.register(formula_domains._domain("block", formula_domains.BLOCK_LAYOUT, "Blocks"))
    assert expected_failures("block") == {}
    unregister("block")
    from attrs import evolve

    ddmi_core.register(evolve(LARGE_FIRST, implementation="block_parts:Blocks"))
    try:
        assert expected_failures("block") == {"views": "they go from large to small"}
    finally:
        sys.modules.pop("block_parts", None)


def test_the_table_of_another_project_counts_for_nothing(project):
    project.write_text(PROJECT.replace("block =", "other ="))
    assert expected_failures("block") == {}


@pytest.mark.parametrize(("old", "new"), [('"they go from large to small"', "3"), ("[project]", "[project")])
def test_a_table_that_cannot_be_used_is_refused(project, old, new):
    project.write_text(PROJECT.replace(old, new))
    with pytest.raises(ConfigError, match=r"pyproject\.toml"):
        expected_failures("block")


@pytest.mark.parametrize(
    "text", ["project = 3", "[project", "tool = 1", 'project."entry-points" = "block"', "x = " + "[" * 5000]
)
def test_other_projects_are_passed_over_whatever_they_hold(project, text):
    """That of the plugin is above them."""
    (project.parent / "src" / "pyproject.toml").write_text(text)
    assert expected_failures("block") == {"views": "they go from large to small"}


def test_a_project_in_another_encoding_is_passed_over(project):
    (project.parent / "src" / "pyproject.toml").write_bytes(b"\xff\xfe")
    assert expected_failures("block") == {"views": "they go from large to small"}


def test_the_plugins_own_project_is_named_if_it_is_not_toml(project):
    project.write_text(PROJECT + "views = ")
    with pytest.raises(ConfigError, match=r"pyproject\.toml is not valid TOML"):
        expected_failures("block")


@pytest.mark.parametrize("text", ["views", "views=", "=reason"])
def test_an_option_without_a_reason_is_refused(text):
    with pytest.raises(RequestError, match="gives no reason"):
        parsed([text])
    assert run("--expect-failure", text).exit_code == 2


def test_an_unknown_check_is_refused():
    with Subject(LARGE_FIRST) as subject, pytest.raises(RequestError, match="did you mean 'views'"):
        examine(subject, [check_named("views")], expected_failures={"view": "-"})
    result = run("--expect-failure", "view=-")
    assert result.exit_code == 2
    assert "did you mean 'views'" in result.output


def test_a_skip_is_no_expected_failure():
    with Subject(LARGE_FIRST) as subject:
        (outcome,) = examine(subject, [check_named("weights")], expected_failures={"weights": "none yet"}).outcomes
    assert outcome.state == "skipped"
