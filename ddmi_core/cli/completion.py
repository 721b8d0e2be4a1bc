"""Values for shell completion, from metadata and fixed lists: no plugin and no torch is imported."""

from __future__ import annotations

from ddmi_core.runs.names import PRESETS, SAMPLERS


def plugins(incomplete: str) -> list[str]:
    """Names of plugins that can be asked for."""
    from ddmi_core.registry.registry import listed

    return [record.name for record in listed() if record.usable and record.name.startswith(incomplete)]


def presets(incomplete: str) -> list[str]:
    """Names of the presets that every plugin should have."""
    return [name for name in PRESETS if name.startswith(incomplete)]


def samplers(incomplete: str) -> list[str]:
    """Names of samplers."""
    return [name for name in SAMPLERS if name.startswith(incomplete)]
