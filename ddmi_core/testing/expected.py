"""Expected failures of a plugin's checks, from its `pyproject.toml` and from `--expect-failure`."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ddmi_core.errors import ConfigError, RequestError
from ddmi_core.registry.registry import domain_named

FILE = "pyproject.toml"
TABLE = "tool.ddmi.expected-failures"
GROUP = "ddmi.plugins"


def expected_failures(plugin: str) -> dict[str, str]:
    """Reasons by the name of the check, from the table `[tool.ddmi.expected-failures]` of a plugin's project.

    The project is the nearest `pyproject.toml` that declares the plugin's entry point: in the working folder and above
    it, or above the folder of the plugin's modules, as in an editable installation.

    Raises:
        PluginError: if there is no usable plugin with the name.
        ConfigError: if the file with such a table is not valid TOML, or the table holds other values than texts. Other
            projects that cannot be read are passed over.
    """
    for place in _places(plugin):
        for folder in (place, *place.parents):
            if (file := folder / FILE).is_file() and (found := _declared(file, plugin)) is not None:
                return found
    return {}


def parsed(texts: Iterable[str]) -> dict[str, str]:
    """Reasons by the name of the check, from values `NAME=REASON`.

    Raises:
        RequestError: if a text has another form.
    """
    found = {}
    for text in texts:
        name, equals, reason = text.partition("=")
        if not (equals and name.strip() and reason.strip()):
            raise RequestError(
                f"--expect-failure {text!r} gives no reason; write CHECK=REASON, such as exporters_repeat='holds dates'"
            )
        found[name.strip()] = reason.strip()
    return found


def _places(plugin: str) -> Iterable[Path]:
    """Folders in and above which the plugin's project may be."""
    yield Path.cwd()
    try:
        spec = find_spec(domain_named(plugin).package.partition(".")[0])
    except ValueError:  # the domain is in the program that runs, `__main__`
        spec = None
    if spec is not None and spec.origin:
        yield Path(spec.origin).parent


def _declared(file: Path, plugin: str) -> dict[str, str] | None:
    """The table of a project; `None` if it does not declare the plugin, or cannot be read and may be another."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return None
    try:
        content = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        if TABLE not in text or plugin not in text:
            return None
        raise ConfigError(f"{file} is not valid TOML: {error}") from error
    declared = _inside(content, "project", "entry-points", GROUP)
    if not isinstance(declared, dict) or plugin not in declared:
        return None
    table = _inside(content, "tool", "ddmi", "expected-failures")
    if not isinstance(table, dict) or not all(isinstance(reason, str) and reason for reason in table.values()):
        raise ConfigError(f"{file}: [{TABLE}] must map names of checks to reasons, as texts")
    return dict(table)


def _inside(content: Any, *keys: str) -> Any:
    """The value at nested keys; an empty table where there is none."""
    for key in keys:
        content = content.get(key, {}) if isinstance(content, dict) else {}
    return content
