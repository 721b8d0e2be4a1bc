"""Names of the plugins that these tests make."""

from __future__ import annotations

from ddmi_core.scaffold.choices import CHOICES

AXES = (*CHOICES, "xyzt")  # the last one stands for axes of an author's own


def name_of(axes: str) -> str:
    return f"made-{axes}"
