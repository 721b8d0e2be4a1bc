"""The tables that compare the presets `paper` with the authors' published configuration and code, and with `base`.

`paper.toml` has the authors' values, each with its source. Our values are read from the presets and from counts of the
models that they describe, so the table cannot claim what a preset does not do. A row whose values differ requires a
reason, and a row whose values agree must not have one. The same holds for settings in which a preset `base` differs.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

ROWS = Path(__file__).with_name("paper.toml")
TOLERANCE = 0.1  # of counts
UNITS = {"M": 1e6, "G": 1e9}  # of counts


class TableError(Exception):
    """A row of the table is wrong."""


def table() -> str:
    """All rows, by group.

    Raises:
        TableError: if a row has no reason for a difference, has one for none, or names what does not exist.
    """
    document = tomllib.loads(ROWS.read_text(encoding="utf-8"))
    lines: list[str] = []
    group = ""
    for row in document["row"]:
        if row["group"] != group:
            group = row["group"]
            lines += ["", f"## {group}", "", "| | preset | authors | ours | why ours differs |"]
            lines.append("| --- | --- | --- | --- | --- |")
        lines.extend(_lines(row, {name: entry["preset"] for name, entry in document["presets"].items()}))
    return "\n".join(lines)


def base() -> str:
    """All rows with a setting in which the preset `base` of a plugin differs from `paper`.

    Raises:
        TableError: if a row has no reason for a difference, or has one for none.
    """
    document = tomllib.loads(ROWS.read_text(encoding="utf-8"))
    lines = ["| | preset | `paper` | `base` | why `base` differs |", "| --- | --- | --- | --- | --- |"]
    for row in document["row"]:
        lines.extend(_base_lines(row, document["presets"]))
    return "\n".join(lines)


def _base_lines(row: Mapping[str, Any], presets: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    """A line for each different pair of values, with the presets that share it."""
    item, given = row["item"], row.get("base", "")
    names = [name for name in _named(row, presets) if "base" in presets[name] and "key" in row]
    pairs: dict[tuple[str, str, str], list[str]] = {}
    for name in names:
        paper, base, why = (*(_ours(row, name, presets[name][which]) for which in ("preset", "base")), _of(given, name))
        if _agree(paper, base, counted=False):
            if why and isinstance(given, Mapping):
                raise TableError(f"{item!r}, {name}: `paper` and `base` have {paper!r}, but a reason is given: {why!r}")
            continue
        if not why:
            raise TableError(f"{item!r}, {name}: `paper` has {paper!r}, `base` {base!r}; no reason is given")
        off = "on" in row and _setting(presets[name]["base"], row["on"]) in (0, "none")
        pairs.setdefault((_shown(paper, row), "off" if off else _shown(base, row), why), []).append(name)
    if given and not pairs:
        raise TableError(f"{item!r}: `paper` and `base` agree, but a reason is given: {given!r}")
    for number, ((paper, base, why), found) in enumerate(pairs.items()):
        which = ", ".join(f"`{name}`" for name in found)
        yield f"| {'' if number else item} | {which} | {paper} | {base} | {why} |".replace("  ", " ")


def _lines(row: Mapping[str, Any], presets: Mapping[str, str]) -> Iterator[str]:
    """A line for each different pair of values, with the presets that share it."""
    item, counted = row["item"], "count" in row
    pairs: dict[tuple[str, str, str], list[str]] = {}
    for name in _named(row, presets):
        theirs, ours, why = _of(row["authors"], name), _ours(row, name, presets[name]), _of(row.get("why", ""), name)
        agree = _agree(theirs, ours, counted)
        if not (agree or why):
            raise TableError(f"{item!r}, {name}: the authors have {theirs!r}, the preset {ours!r}; no reason is given")
        if agree and why and isinstance(row["why"], Mapping):
            raise TableError(f"{item!r}, {name}: both have {theirs!r}, but a reason is given: {why!r}")
        shown = (_shown(theirs, row), _shown(ours, row), "" if agree else why)
        pairs.setdefault(shown, []).append(name)
    if row.get("why") and not any(why for *_, why in pairs):
        raise TableError(f"{item!r}: all values agree, but a reason is given: {row['why']!r}")
    for number, ((theirs, ours, why), names) in enumerate(pairs.items()):
        source = f" ({row['source']})" if "source" in row else ""
        which = "all" if len(names) == len(presets) else ", ".join(f"`{name}`" for name in names)
        yield f"| {'' if number else item + source} | {which} | {theirs} | {ours} | {why} |".replace("  ", " ")


def _named(row: Mapping[str, Any], presets: Mapping[str, Any]) -> list[str]:
    authors = row["authors"]
    if not isinstance(authors, Mapping):
        return list(presets)
    if unknown := set(authors) - set(presets):
        raise TableError(f"{row['item']!r}: there is no preset {unknown.pop()!r}")
    return [name for name in presets if name in authors]


def _of(values: Any, name: str) -> Any:
    return values.get(name, "") if isinstance(values, Mapping) else values


def _ours(row: Mapping[str, Any], name: str, preset: str) -> Any:
    """The value of a preset: of a setting, of a count, or as described."""
    if "key" in row:
        return _setting(preset, _of(row["key"], name))
    if "count" in row:
        kind, part = row["count"].split(".")
        return _counts(preset)[kind][part] / UNITS[row["unit"]]
    return _of(row["ours"], name)


def _agree(theirs: Any, ours: Any, counted: bool) -> bool:
    if counted:
        return bool(abs(ours - theirs) <= TOLERANCE * theirs)
    if isinstance(theirs, int | float) and isinstance(ours, int | float) and not isinstance(theirs, bool):
        return bool(abs(ours - theirs) <= 1e-9 * abs(theirs))
    return bool((list(ours) if isinstance(ours, tuple) else ours) == theirs)


def _shown(value: Any, row: Mapping[str, Any]) -> str:
    if "count" in row:
        return f"{value:.3g} {row['unit']}" if value < 1000 else f"{value:,.0f} {row['unit']}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, list | tuple):
        return ", ".join(_shown(entry, row) for entry in value) or "none"
    return str(value).replace("|", "\\|")


@cache
def _settings(preset: str) -> Any:
    from ddmi_core.cli.train import configured

    return configured(*preset.split("/"))


@cache
def _counts(preset: str) -> dict[str, dict[str, float]]:
    from ddmi_core.model.counts import count
    from ddmi_core.parts.domain_parts import build_parts

    domain, config = _settings(preset)
    counted: dict[str, dict[str, float]] = count(build_parts(domain, config.domain), config).to_json()
    return counted


def _setting(preset: str, key: str) -> Any:
    value = _settings(preset)[1]
    for part in key.split("."):
        if not hasattr(value, part):
            raise TableError(f"preset {preset!r} has no setting {key!r}")
        value = getattr(value, part)
    return value


if __name__ == "__main__":
    print(table(), base(), sep="\n\n")
