"""Data sources of a domain: parsing of `--data`, loading, and summaries."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from pathlib import Path
from types import NoneType
from typing import get_args, get_type_hints

from attrs import asdict, frozen

from ddmi_core.api.signals import SignalSet, Split
from ddmi_core.errors import DataError, counted, nearest
from ddmi_core.parts.domain_parts import AnyParts
from ddmi_core.parts.returns import instance, require
from ddmi_core.settings.resolve import preset_data

FOLDER = "folder"  # the source for a path without a source name


def load_data(parts: AnyParts, data: str) -> Split:
    """Load the signals of a source.

    Args:
        parts: the domain with the sources.
        data: `NAME`, `NAME:PATH`, `PATH`, or empty for the domain's default.

    Raises:
        DataError: if there is no such source, or the data cannot be used.
        PluginError: if the source returns something else than a split of two sets of signals.
    """
    name, location = _located(parts, data)
    split = parts.sources()[name](location, parts.settings)
    where = f"domain {parts.domain.name!r}: source {name!r}"
    require(instance(Split), split, where)
    for part in (split.train, split.held_out):
        require(instance(SignalSet), part, f"{where}, in its Split,")
    return split


def source_name(parts: AnyParts, data: str) -> str:
    """The value of `--data` for messages: the name of the default source if it is empty."""
    return data or next(iter(parts.sources()))


def absolute(parts: AnyParts, data: str) -> str:
    """The value of `--data` with an absolute path, valid in any working directory.

    Raises:
        DataError: if there is no such source.
    """
    name, location = _located(parts, data)
    if location is None:
        return data
    return f"{name}:{location.absolute()}" if data.startswith(f"{name}:") else str(location.absolute())


def preset_source(parts: AnyParts, preset: str) -> str:
    """The source of the data that a preset is for, for a run without `--data`; empty for the domain's default.

    Raises:
        DataError: if it is a source of files, which a run must be given, so that it does not train on other data.
    """
    sources, name = parts.sources(), preset_data(parts.domain, preset)
    if not name or name not in sources or not takes_location(parts, name):
        return name
    summary = _source(name, sources[name], default=False).summary.rstrip(".")
    raise DataError(
        f"preset {preset!r} is for the data {name!r} ({summary}), which must be given. Fix: see where to get them with "
        f"`ddmi data check {name} --plugin {parts.domain.name}`, then add --data {name} or --data {name}:PATH. To "
        f"train on other data, name them, for example --data {next(iter(sources))}"
    )


def takes_location(parts: AnyParts, data: str) -> bool:
    """Whether the source of a value of `--data` reads files, so that it takes a location."""
    load = parts.sources()[_located(parts, data)[0]]
    return get_type_hints(load).get("location") is not NoneType


def _located(parts: AnyParts, data: str) -> tuple[str, Path | None]:
    """Name and path of the source."""
    sources = parts.sources()
    name, _, place = source_name(parts, data).partition(":")
    location = Path(place) if place else None
    if name not in sources:
        path = Path(data)
        if FOLDER not in sources or not (path.exists() or {"/", "."} & set(data)):
            missing = "there is no such folder and no such source" if FOLDER in sources else "no such source"
            known = f"{nearest(name, sources)} Sources: {', '.join(sorted(sources))}"
            raise DataError(f"data {data!r}: {missing}{known}")
        return FOLDER, path
    return name, location


@frozen
class DataSummary:
    """Numbers of signals, classes and fingerprint of the data of a source."""

    source: str
    training: int
    held_out: int
    classes: dict[str, int]
    fingerprint: str

    def lines(self) -> list[str]:
        """The summary as text."""
        counts = ", ".join(f"{name} {count}" for name, count in self.classes.items())
        return [
            f"{self.source}: {counted(self.training, 'training signal')}, {self.held_out} held out",
            f"classes: {counts}" if counts else "no classes",
            f"fingerprint {self.fingerprint[:16]}",
        ]

    def to_json(self) -> str:
        """As JSON text."""
        return json.dumps(asdict(self), indent=1)


def summarize(split: Split, source: str) -> DataSummary:
    """Count the signals and classes of a split.

    Args:
        split: the loaded data.
        source: name of the data in the summary.
    """
    names = split.train.classes
    counts = split.train.labels.bincount(minlength=len(names)).tolist() if names else []
    classes = dict(zip(names, counts, strict=False))
    return DataSummary(source, len(split.train), len(split.held_out), classes, split.fingerprint())


@frozen
class Source:
    """One source: name, `--data` option, and description."""

    name: str
    usage: str
    summary: str
    default: bool


@frozen
class Sources:
    """All sources of a domain."""

    sources: tuple[Source, ...]

    def lines(self) -> list[str]:
        """One line per source, in columns."""
        width = max(len(source.usage) for source in self.sources)
        return [
            f"{source.usage:{width}}  {source.summary}{' (the default)' if source.default else ''}"
            for source in self.sources
        ]

    def to_json(self) -> str:
        """As JSON text."""
        return json.dumps([asdict(source) for source in self.sources], indent=1)


def list_sources(parts: AnyParts) -> Sources:
    """The sources of a domain, from the signatures and docstrings of their functions."""
    found = parts.sources()
    default = next(iter(found))
    return Sources(tuple(_source(name, load, name == default) for name, load in found.items()))


def _source(name: str, load: Callable[..., Split], default: bool) -> Source:
    summary = (inspect.getdoc(load) or "").partition("\n")[0]
    location = get_type_hints(load).get("location")
    if location is NoneType:
        usage = name
    elif NoneType in get_args(location) or location is None:
        usage = f"{name}[:PATH]"
    else:
        usage = "PATH" if name == FOLDER else f"{name}:PATH"
    return Source(name, f"--data {usage}", summary, default)
