"""Names of the plugins that these tests make."""

from __future__ import annotations


def name_of(axes: str) -> str:
    return f"made-{axes}"
