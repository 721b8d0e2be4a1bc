"""Data sources of a domain: parsing of `--data`, loading, and summaries."""

from __future__ import annotations

import inspect
import json
from collections import Counter
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_type_hints

from attrs import asdict, frozen

from ddmi_core.api.domain import Domain
from ddmi_core.api.signals import Split
from ddmi_core.errors import DataError, counted, nearest

FOLDER = "folder"  # the source for a path without a source name


def load_data(domain: Domain, data: str, settings: Any) -> Split:
    """Load the signals of a source.

    Args:
        domain: the domain with the sources.
        data: `NAME`, `NAME:PATH`, `PATH`, or empty for the domain's default.
        settings: the domain's own settings.

    Raises:
        DataError: if there is no such source, or the data cannot be used.
    """
    name, location = _located(domain, data)
    split: Split = domain.resolve(domain.sources[name])(location, settings)
    return split


def absolute(domain: Domain, data: str) -> str:
    """The value of `--data` with an absolute path, valid in any working directory.

    Raises:
        DataError: if there is no such source.
    """
    name, location = _located(domain, data)
    if location is None:
        return data
    return f"{name}:{location.absolute()}" if data.startswith(f"{name}:") else str(location.absolute())


def _located(domain: Domain, data: str) -> tuple[str, Path | None]:
    """Name and path of the source."""
    name, _, place = (data or domain.default_source).partition(":")
    location = Path(place) if place else None
    if name not in domain.sources:
        path = Path(data)
        if FOLDER not in domain.sources or not (path.exists() or {"/", "."} & set(data)):
            missing = "there is no such folder and no such source" if FOLDER in domain.sources else "no such source"
            known = f"{nearest(name, domain.sources)} Sources: {', '.join(sorted(domain.sources))}"
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
    counts = Counter(split.train.labels.tolist())
    classes = {name: counts[number] for number, name in enumerate(split.train.classes)}
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


def sources(domain: Domain) -> Sources:
    """The sources of a domain, from the signatures and docstrings of their functions."""
    return Sources(tuple(_source(domain, name) for name in domain.sources))


def _source(domain: Domain, name: str) -> Source:
    load = domain.resolve(domain.sources[name])
    summary = (inspect.getdoc(load) or "").partition("\n")[0]
    location = get_type_hints(load).get("location")
    if location is NoneType:
        usage = name
    elif NoneType in get_args(location) or location is None:
        usage = f"{name}[:PATH]"
    else:
        usage = "PATH" if name == FOLDER else f"{name}:PATH"
    return Source(name, f"--data {usage}", summary, name == domain.default_source)
