"""The pages for authors of plugins show what the command prints, and code that runs."""

from __future__ import annotations

import importlib
import inspect
import os
import re
import shlex
import subprocess
import wave
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import pytest
from test_docs import ROOT, blocks, environment, masked, run_page

from known_plugins import AUDIO, EXTRAS, make_known

SETTINGS = ("domain.count=6", "domain.samples=1024", "domain.rate=2048", "autoencoder.points=256", "sampling.count=2")
MEASURED = ("evaluation.samples=4", 'evaluation.grid=["euler:2"]')
TINY_AUDIO = [word for setting in SETTINGS + MEASURED for word in ("--set", setting)]
EXTENDING = "how-to/extending-the-engine.md"
REGISTRY = ROOT / "tests" / "registry"


def printed(*words: str, plugins: Path) -> set[str]:
    """Lines that the command prints with plugins beside the project's own, without their figures."""
    shown = {**environment(), "PYTHONPATH": str(plugins), "COLUMNS": "200"}
    shown.pop("DDMI_PLUGINS", None)
    command = ["ddmi", *words]
    done = subprocess.run(command, env=shown, capture_output=True, text=True, check=True)
    return {masked(line) for line in done.stdout.splitlines()}


def shown(page: str) -> list[str]:
    """Lines of the outputs that a page shows."""
    return [line for kind, text in blocks(page) if kind == "output" for line in text.splitlines()]


def test_the_page_about_publishing_shows_what_is_listed(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(REGISTRY)
    twenty = importlib.import_module("twenty")
    for distribution in twenty.CLASHING:
        twenty.write(tmp_path, "clash", twenty.GOOD, distribution)
    lines = printed("plugins", plugins=tmp_path)
    assert shown("how-to/publish-a-plugin.md")
    assert [line for line in shown("how-to/publish-a-plugin.md") if masked(line) not in lines] == []


@pytest.fixture
def audio(tmp_path: Path) -> str:
    """Where the audio plugin is found, as if it were installed."""
    site = tmp_path / "installed"
    site.mkdir()
    make_known(AUDIO, site)
    return os.pathsep.join([str(site), str(AUDIO)])


@pytest.mark.slow
def test_the_commands_about_a_new_modality_run_and_print_what_the_page_shows(tmp_path, audio):
    run_page("tutorials/a-new-modality.md", tmp_path, TINY_AUDIO, PYTHONPATH=audio)
    seconds = {}
    for name in ("bells", "finer"):
        with wave.open(str(tmp_path / name / "sample-0000.wav")) as file:
            seconds[name] = file.getnframes() / file.getframerate()
    assert seconds == {"bells": 0.5, "finer": 0.5}
    assert (tmp_path / "again" / "sample-0000.wav").is_file()


@pytest.fixture
def extras(tmp_path: Path) -> str:
    """Where the extension of the example is found, as if it were installed."""
    site = tmp_path / "installed"
    site.mkdir()
    make_known(EXTRAS, site)
    return os.pathsep.join([str(site), str(EXTRAS), os.environ.get("PYTHONPATH", "")])


@pytest.mark.slow
def test_the_commands_about_extensions_run_and_print_what_the_page_shows(tmp_path, extras):
    run_page(EXTENDING, tmp_path, PYTHONPATH=extras)
    assert {path.name for path in (tmp_path / "arrays").iterdir()} == {"sample-0000.npy", "sample-0001.npy"}
    page = (tmp_path / "runs" / "a" / "report.html").read_text()
    assert "<h2>Moments of the samples</h2>" in page
    assert "deviation of r" in page
    figures = (tmp_path / "runs" / "f" / "metrics.json").read_text()
    assert '"reconstruction_edges"' in figures
    assert '"moments"' in figures


def test_every_run_on_the_page_about_extensions_has_settings_that_resolve(tmp_path, extras, monkeypatch):
    from ddmi_core.registry.registry import domain_named
    from ddmi_core.settings.resolve import resolve

    for place in extras.split(os.pathsep)[:2]:
        monkeypatch.syspath_prepend(place)
    monkeypatch.delenv("DDMI_PLUGINS", raising=False)
    commands = re.findall(r"^ddmi run .*$", (ROOT / "docs" / EXTENDING).read_text(), re.MULTILINE)
    assert len(commands) >= 6
    for words in map(shlex.split, commands):
        sets = [value for option, value in pairwise(words) if option == "--set"]
        resolve(domain_named(words[words.index("--plugin") + 1]), overrides=sets)


def test_the_page_about_extensions_has_a_screen_for_every_hook():
    from ddmi_core.registry.records import KINDS

    page = (ROOT / "docs" / EXTENDING).read_text(encoding="utf-8")
    sections = page.split("\n## ")[1:]
    for kind in KINDS:
        (section,) = (text for text in sections if f"`ddmi_{kind}` returns" in text)
        assert "--8<--" in section or "above" in section
        assert "ddmi " in section
        assert len(section.splitlines()) <= 40


def test_the_table_of_methods_has_all_of_them_and_says_which_are_required():
    from ddmi_core.parts import DomainParts, GridDomain, RasterDomain

    page = (ROOT / "docs" / "reference" / "domain.md").read_text(encoding="utf-8")
    table = page.partition("| method or property |")[2].partition("\n\n")[0]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()[2:]]
    shown = {row[0].strip("`").partition("(")[0]: row[2:] for row in rows}
    public = {
        name
        for kind in (DomainParts, RasterDomain, GridDomain)
        for name, method in vars(kind).items()
        if not name.startswith("_")
        and (callable(method) or isinstance(method, property | cached_property | classmethod))
    }
    assert shown.keys() == public
    for name, defaults in shown.items():
        for kind, default in zip((DomainParts, GridDomain), defaults, strict=True):
            assert (default == "required") == (name in kind.__abstractmethods__), name
            assert (default == "") == (not hasattr(kind, name)), name


def test_the_table_of_methods_shows_their_arguments():
    from ddmi_core.parts import GridDomain

    page = (ROOT / "docs" / "reference" / "domain.md").read_text(encoding="utf-8")
    shown = dict(re.findall(r"^\| `(\w+)\(([^)]*)\)` \|", page, re.MULTILINE))
    assert shown
    for name, arguments in shown.items():
        names = [word for word in inspect.signature(getattr(GridDomain, name)).parameters if word != "self"]
        assert [word for word in arguments.split(", ") if word] == names


def test_every_status_is_in_the_reference():
    from ddmi_core.registry.records import Status

    page = (ROOT / "docs" / "reference" / "plugins.md").read_text(encoding="utf-8")
    assert [status for status in Status if f"| `{status}` |" not in page] == []
