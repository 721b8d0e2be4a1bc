"""The help of every command is readable on narrow terminals: plain types, groups, an example and a page that exist."""

import re
import shlex
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from ddmi_core.cli.help import EXAMPLES
from ddmi_core.cli.main import app

ROOT = Path(__file__).parents[2]


def paths_of(command, path=()):
    yield path, command
    for name, own in getattr(command, "commands", {}).items():
        yield from paths_of(own, (*path, name))


EVERY = dict(paths_of(typer.main.get_command(app)))


def shown(path, columns, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    result = CliRunner().invoke(app, [*path, "--help"])
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize("columns", [60, 100])
@pytest.mark.parametrize("path", EVERY, ids=" ".join)
def test_help_fits_and_shows_no_types_of_flags_and_no_bounds_of_the_machine(path, columns, monkeypatch):
    text = shown(path, columns, monkeypatch)
    assert max(map(len, text.splitlines())) <= columns
    assert not re.search(r"<(bool|path|str|int|float)", text)
    assert str(2**63 - 1) not in text
    assert str(2**31) not in text


@pytest.mark.parametrize("path", [path for path in EVERY if path], ids=" ".join)
def test_every_command_has_an_example_that_it_accepts_and_a_page(path, monkeypatch):
    text = " ".join(shown(path, 200, monkeypatch).split())
    example, page = EXAMPLES[path[-1]]
    assert f"Example: {example} Documentation: docs/{page}" in text
    assert (ROOT / "docs" / page).is_file()
    words = shlex.split(example)[1:]
    command = EVERY[()]
    context = typer.Context(command)
    while words and words[0] in getattr(command, "commands", {}):
        command = command.commands[words.pop(0)]
    context = command.make_context(command.name, words, resilient_parsing=True)
    assert not context.args


def test_options_of_long_helps_are_in_groups_and_paragraphs_are_filled(monkeypatch):
    text = shown(["sample"], 100, monkeypatch)
    panels = re.findall(r"╭─ ([\w ]+?) ─", text)
    assert set(panels) == {"Arguments", "Options", "Files", "Model and data", "Request"}
    text = shown(["run"], 100, monkeypatch)
    assert "or with --json the\n" not in re.sub(" +\n", "\n", text)
    assert "[x>=0]" in text


def test_commands_that_compute_take_a_device(monkeypatch):
    computing = (
        "run",
        "sample",
        "complete",
        "reconstruct",
        "conditions",
        "evaluate",
        "tune",
        "report",
        "view",
        "bench",
    )
    assert [name for name in computing if not any("--device" in one.opts for one in EVERY[(name,)].params)] == []
