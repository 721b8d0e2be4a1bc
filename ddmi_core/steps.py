"""The steps of a run, and the declaration of the steps whose results a setting changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

AUTOENCODER, LATENTS, DENOISER = "autoencoder", "latents", "denoiser"
SAMPLES, FIGURES, REPORT = "samples", "figures", "report"
STEPS = (AUTOENCODER, LATENTS, DENOISER, SAMPLES, FIGURES, REPORT)
_KEY = "ddmi acts on"


def acts_on(*steps: str) -> dict[str, Any]:
    """Metadata of a setting: the steps of a run whose results it changes.

    Results are made again if a setting that acts on them has changed, and trained stages are refused. A setting without
    this declaration has that of its table; those of a domain act on all steps.

    Args:
        steps: of `autoencoder`, `latents`, `denoiser`, `samples`, `figures` and `report`; without any, the setting
            changes no result, as a number of worker processes does not. Nor does one that changes rounding alone.

    Example:
        >>> from attrs import field, fields, frozen
        >>> @frozen
        ... class Settings:
        ...     size: int = 48
        ...     workers: int = field(default=0, metadata=acts_on())
        ...     compared: int = field(default=100, metadata=acts_on("figures"))
        >>> [declared(attribute.metadata, STEPS) for attribute in fields(Settings)][1:]
        [(), ('figures',)]

    Raises:
        ValueError: if there is no such step.
    """
    if unknown := [step for step in steps if step not in STEPS]:
        raise ValueError(f"a run has no step {unknown[0]!r}. Fix: name some of {', '.join(STEPS)}")
    return {_KEY: steps}


def since(step: str) -> tuple[str, ...]:
    """A step and all that follow it."""
    return STEPS[STEPS.index(step) :]


def declared(metadata: Mapping[Any, Any], otherwise: tuple[str, ...]) -> tuple[str, ...]:
    """The steps that the metadata of a setting declare, or else those of its table."""
    steps: tuple[str, ...] = metadata.get(_KEY, otherwise)
    return steps
