"""Layers of settings merged into one table that remembers where each key came from."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from datetime import date, time
from pathlib import Path
from typing import Any

from attrs import field, frozen

from ddmi_core.errors import ConfigError


@frozen
class Layers:
    """A merged table; later layers win, and tables merge key by key.

    Args:
        values: the table, as plain values.
        sources: path of a key to the layer that set it last; defaults are not recorded.
    """

    values: dict[str, Any]
    sources: dict[tuple[str, ...], str] = field(factory=dict)

    def add(self, layer: Mapping[str, Any], source: str) -> None:
        """Put a layer on top."""
        self._merge(self.values, layer, (), source)

    def source(self, path: tuple[str, ...]) -> str:
        """Where a key came from; for a table, all sources of its keys."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.sources:
                return self.sources[path[:length]]
        inside = dict.fromkeys(s for p, s in self.sources.items() if p[: len(path)] == path)
        return " and ".join(inside) or "the defaults"

    def _merge(self, into: dict[str, Any], layer: Mapping[str, Any], at: tuple[str, ...], source: str) -> None:
        for key, value in layer.items():
            path = (*at, key)
            if isinstance(value, Mapping) and isinstance(into.get(key), dict):
                self._merge(into[key], value, path, source)
                continue
            for old in [p for p in self.sources if p[: len(path)] == path]:
                del self.sources[old]
            into[key] = value
            self.sources[path] = source


def parsed(text: str, source: str) -> dict[str, Any]:
    """A TOML document.

    Raises:
        ConfigError: with the source and the place, if it is not TOML.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{source} is not valid TOML: {error}") from error


def read(path: Path) -> dict[str, Any]:
    """A TOML file.

    Raises:
        ConfigError: if it is missing, unreadable, or not TOML.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ConfigError(f"configuration file {path} does not exist") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"configuration file {path} cannot be read: {error}") from error
    return parsed(text, f"configuration file {path}")


def override(text: str) -> dict[str, Any]:
    """The layer of one `--set key.sub=value`.

    The value is read as TOML (`3`, `1e-3`, `true`, `[1, 2]`, `"text"`); what is not TOML is text.

    Raises:
        ConfigError: if there is no `=` or the key is not a dotted name.
    """
    key, equals, value = text.partition("=")
    names = [name.strip() for name in key.split(".")]
    if not equals or not all(names):
        raise ConfigError(f"--set {text} is not of the form key.sub=value, for example --set seed=1")
    layer: Any = _literal(value)
    for name in reversed(names):
        layer = {name: layer}
    return dict(layer)


def _literal(text: str) -> Any:
    try:
        table = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    value = table["value"]
    return text if len(table) > 1 or isinstance(value, date | time) else value
