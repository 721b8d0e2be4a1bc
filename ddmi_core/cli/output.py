"""What commands print, and whether their folders can be written."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import typer

from ddmi_core.errors import OutputError


def print_json(value: Any) -> None:
    """Print a value, or the text of one, as JSON."""
    typer.echo(value if isinstance(value, str) else json.dumps(value, indent=2))


def print_lines(lines: Iterable[str]) -> None:
    """Print lines as they are."""
    for line in lines:
        typer.echo(line)


def print_result(result: Any, as_json: bool) -> None:
    """Print a result as JSON, or as its own lines."""
    if as_json:
        print_json(result.to_json())
    else:
        print_lines(result.lines())


def check_writable(out: Path) -> None:
    """Check that a folder can be made or written, without making it.

    Raises:
        OutputError: if it is a file, is below a file, or permission is missing.
    """
    place = next(path for path in (out.absolute(), *out.absolute().parents) if path.exists())
    if not place.is_dir():
        raise OutputError(f"{place} is a file, so nothing can be written to {out}; choose another --out folder")
    if not os.access(place, os.W_OK | os.X_OK):
        raise OutputError(f"no permission to write {place}; choose another --out folder")
