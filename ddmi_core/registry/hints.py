"""Hints for an unknown plugin: entry points that are declared and not installed, and files with its name."""

from __future__ import annotations

import json
import os
import shlex
import tomllib
from collections.abc import Iterator
from importlib.metadata import distributions
from pathlib import Path
from urllib.parse import unquote, urlparse

from ddmi_core.registry.records import DOMAINS
from ddmi_core.registry.single_file import SUFFIX

PROJECT = "pyproject.toml"


def hint(name: str) -> str:
    """What may be meant by the name of a plugin that is not installed, as sentences after a message; often empty."""
    found = ""
    for folder, installed in _projects(name):
        if name in _declared(folder / PROJECT):
            state = "the installed distribution does not list it" if installed else "its distribution is not installed"
            found += (
                f". {_relative(folder / PROJECT)} declares the entry point {name}, but {state}. "
                f"Fix: pip install -e {shlex.quote(_folder(folder))}"
            )
            break
    if Path(name + SUFFIX).is_file():
        found += f". {name}{SUFFIX} is a file here. Fix: --plugin ./{name}{SUFFIX}"
    return found


def _projects(name: str) -> Iterator[tuple[Path, bool]]:
    """Yield folders of projects, and whether they are installed: here, of editable installs, of a new plugin."""
    editable = {path.resolve() for path in _editable()}
    here = Path.cwd()
    for folder in (here, *here.parents, here / f"ddmi-{name}"):
        if (folder / PROJECT).is_file():
            yield folder, folder.resolve() in editable
    yield from ((folder, True) for folder in sorted(editable))


def _editable() -> Iterator[Path]:
    """Yield the folders of editable installs."""
    for distribution in distributions():
        try:
            found = json.loads(distribution.read_text("direct_url.json") or "{}")
            if found.get("dir_info", {}).get("editable"):
                yield Path(unquote(urlparse(found["url"]).path))
        except (OSError, ValueError, KeyError, AttributeError):
            continue


def _declared(project: Path) -> tuple[str, ...]:
    """Names of the plugins that a project declares; none if the file cannot be read."""
    try:
        table = tomllib.loads(project.read_text(encoding="utf-8"))
        return tuple(table["project"]["entry-points"][DOMAINS])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return ()


def _folder(path: Path) -> str:
    """A folder for pip, which reads a bare name as the name of a distribution."""
    place = _relative(path)
    return place if place.startswith((".", "/")) else f"./{place}"


def _relative(path: Path) -> str:
    """A path for messages: relative to the working folder unless that is longer."""
    return min(os.path.relpath(path), str(path), key=len)
