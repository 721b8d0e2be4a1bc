"""Output of commands: printing, and checks of output folders."""

from __future__ import annotations

import json
import os
import shutil
import sys
import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import typer

from ddmi_core.errors import OutputError, printable

WIDEST = 120  # columns of a paragraph


def print_json(value: Any) -> None:
    """Print a value as JSON; a string is printed unchanged."""
    typer.echo(value if isinstance(value, str) else json.dumps(value, indent=2))


def print_lines(lines: Iterable[str]) -> None:
    """Print lines."""
    for line in lines:
        typer.echo(printable(line, keep="\t"))


def print_page(lines: Iterable[str]) -> None:
    """Print lines; in a terminal, or with COLUMNS set, long ones continue with more indentation than they begin."""
    if "COLUMNS" not in os.environ and not sys.stdout.isatty():
        print_lines(lines)
        return
    width = min(WIDEST, shutil.get_terminal_size().columns)
    for line in lines:
        margin = len(line) - len(line.lstrip(" ")) + 2
        typer.echo(_filled(printable(line), width, "", " " * margin))


def print_wrapped(text: str, indent: int = 0) -> None:
    """Print a paragraph in the width of the terminal. No word is cut, so that values can be copied."""
    width, margin = min(WIDEST, shutil.get_terminal_size().columns), " " * indent
    typer.echo(_filled(text, width, margin, margin))


def _filled(text: str, width: int, first: str, others: str) -> str:
    return textwrap.fill(
        text, width, initial_indent=first, subsequent_indent=others, break_long_words=False, break_on_hyphens=False
    )


def print_result(result: Any, as_json: bool) -> None:
    """Print a result as JSON or as lines."""
    if as_json:
        print_json(result.to_json())
    else:
        print_lines(result.lines())


def check_writable(out: Path) -> None:
    """Check that a folder can be created or written, without creating it.

    Raises:
        OutputError: if it is a file, is below a file, or permission is missing.
    """
    place = next(path for path in (out.absolute(), *out.absolute().parents) if path.exists())
    if not place.is_dir():
        raise OutputError(f"{place} is a file, so nothing can be written to {out}; choose another --out folder")
    if not os.access(place, os.W_OK | os.X_OK):
        raise OutputError(f"no permission to write {place}; choose another --out folder")
