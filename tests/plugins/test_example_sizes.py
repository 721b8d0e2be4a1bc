"""The example plugins are short: at most 120 lines of Python, documentation included, beside their formulas."""

from __future__ import annotations

from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
MOST = 120


@pytest.mark.parametrize("name", ["sphere", "solids-in-time", "series"])
def test_an_example_plugin_is_short(name):
    package = EXAMPLES / f"ddmi-{name}" / f"ddmi_{name.replace('-', '_')}"
    modules = [path for path in package.rglob("*.py") if path.name != "formula.py"]
    lines = [line for path in modules for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    assert len(modules) >= 3
    assert len(lines) <= MOST, {path.name: len(path.read_text(encoding="utf-8").splitlines()) for path in modules}
