"""The pages for authors of plugins show what the command prints, and code that runs."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

from test_docs import ROOT, blocks, environment, masked

REGISTRY = ROOT / "tests" / "registry"


def printed(*words: str, plugins: Path) -> set[str]:
    """Lines that the command prints with plugins beside the project's own, without their figures."""
    shown = {**environment(), "PYTHONPATH": str(plugins), "COLUMNS": "200"}
    shown.pop("DDMI_PLUGINS", None)
    command = [sys.executable, "-m", "ddmi_core", *words]
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


def test_the_page_about_migration_shows_what_will_not_stay():
    lines = printed("plugins", "--check", plugins=REGISTRY / "frozen" / "api_0")
    assert shown("how-to/migrate-between-api-versions.md")
    assert [line for line in shown("how-to/migrate-between-api-versions.md") if masked(line) not in lines] == []


def test_every_status_is_in_the_reference():
    from ddmi_core.registry.records import Status

    page = (ROOT / "docs" / "reference" / "plugins.md").read_text(encoding="utf-8")
    assert [status for status in Status if f"| `{status}` |" not in page] == []
