"""Descriptions and implementations for tests that run nothing: they look at names and settings alone."""

from __future__ import annotations

from typing import Any, TypeVar

from ddmi_core.api import Domain, Layout
from ddmi_core.parts import GridDomain

T = TypeVar("T")

PART = "nowhere:Parts"


def _nothing(*_: Any) -> Any:
    raise NotImplementedError


class BareParts(GridDomain[T]):
    """Has a source, a type of files, and the settings of its type parameter; nothing of it runs."""

    def sources(self):
        return {"folder": _nothing}

    def exporters(self):
        return {".txt": _nothing}

    read = picture = _nothing


def bare_domain(**given: Any) -> Domain:
    """A domain with one axis; what is given replaces what it has."""
    facts: dict[str, Any] = {
        "name": "tiny",
        "summary": "Of tests.",
        "api_version": 1,
        "layout": Layout(axes=("t",), planes=(("t",),)),
        "values": ("v",),
        "implementation": PART,
    }
    return Domain(**(facts | given))
