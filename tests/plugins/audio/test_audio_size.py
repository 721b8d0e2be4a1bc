"""A domain on grids is short: at most 150 lines of Python beside its data sources and documentation."""

from __future__ import annotations

import ast
import io
import tokenize
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[3] / "examples" / "ddmi-audio" / "ddmi_audio"
DATA_SOURCES = {"notes.py", "instruments.py", "folder.py", "reading.py"}
MOST = 150
SILENT = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}


def lines_of_code(source: str) -> int:
    """Lines that hold more than white space, comments and docstrings."""
    lines = {
        line
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type not in SILENT
        for line in range(token.start[0], token.end[0] + 1)
    }
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            lines -= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    return len(lines)


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
