"""A domain on grids is short: at most 170 lines of Python beside its data sources and documentation."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PACKAGE = ROOT / "examples" / "ddmi-audio" / "ddmi_audio"
DATA_SOURCES = {"notes.py", "instruments.py", "folder.py", "reading.py"}
MOST = 170
lines_of_code = runpy.run_path(str(ROOT / "docs" / "domains.py"))["lines_of_code"]


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ('"""Docs\nof a module."""\n\nx = 1  # why\n# a comment\n', 1),
        ('def f(\n    a,\n):\n    """Docs."""\n\n    return """\n\ntext"""\n', 6),
        ('class A:\n    """Docs."""\n', 1),
    ],
)
def test_lines_are_counted_without_documentation(source, lines):
    assert lines_of_code(source) == lines


def test_the_audio_domain_is_short():
    counts = {path.name: lines_of_code(path.read_text()) for path in sorted(PACKAGE.glob("*.py"))}
    assert DATA_SOURCES.issubset(counts)
    own = {name: count for name, count in counts.items() if name not in DATA_SOURCES}
    assert sum(own.values()) <= MOST, own
