"""A description whose implementation cannot be imported, for tests that look at descriptions alone."""

from __future__ import annotations

from typing import Any

from ddmi_core.api import Domain, Layout

PART = "nowhere:Parts"


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
