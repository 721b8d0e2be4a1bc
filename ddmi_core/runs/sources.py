"""The sources of a domain, for people who look for a value of `--data`."""

from __future__ import annotations

import inspect
import json
from types import NoneType
from typing import get_args, get_type_hints

from attrs import asdict, frozen

from ddmi_core.api.domain import Domain
from ddmi_core.runs.build import FOLDER


@frozen
class Source:
    """One source: its name, how `--data` asks for it, and what it reads."""

    name: str
    usage: str
    summary: str
    default: bool


@frozen
class Sources:
    """All sources of a domain."""

    sources: tuple[Source, ...]

    def lines(self) -> list[str]:
        """One line a source, in columns."""
        width = max(len(source.usage) for source in self.sources)
        return [
            f"{source.usage:{width}}  {source.summary}{' (the default)' if source.default else ''}"
            for source in self.sources
        ]

    def to_json(self) -> str:
        """As JSON text."""
        return json.dumps([asdict(source) for source in self.sources], indent=1)


def sources(domain: Domain) -> Sources:
    """What a domain's sources are, from the signatures and docstrings of their functions."""
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
