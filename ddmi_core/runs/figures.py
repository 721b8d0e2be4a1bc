"""Measured figures, each with the protocol that it was measured by."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import asdict, frozen

from ddmi_core.errors import CheckpointError
from ddmi_core.training.checkpoint import written_aside


@frozen
class Figure:
    """One number: what it is, and how it was obtained."""

    name: str
    value: float
    protocol: Mapping[str, Any]  # n, seed, sampler, steps, data, versions, ...


@frozen
class SamplerFigure:
    """One row of the table of samplers and steps."""

    sampler: str
    steps: int
    evaluations: int  # calls of the denoiser for a batch
    seconds: float  # for all samples
    distance: float


@frozen
class Evaluation:
    """All figures of a run."""

    figures: tuple[Figure, ...]
    samplers: tuple[SamplerFigure, ...]

    def to_json(self) -> str:
        """As JSON text."""
        return json.dumps(asdict(self), indent=1)

    def value(self, name: str) -> float:
        """A figure by name.

        Raises:
            KeyError: if there is none.
        """
        return {figure.name: figure.value for figure in self.figures}[name]

    def save(self, path: Path) -> None:
        """Write as JSON, aside and renamed."""
        with written_aside(path) as aside:
            aside.write_text(self.to_json() + "\n")

    @staticmethod
    def load(path: Path) -> Evaluation:
        """Read what `save` wrote.

        Raises:
            CheckpointError: if the file is missing or damaged.
        """
        try:
            data = json.loads(path.read_text())
            return Evaluation(
                tuple(Figure(**figure) for figure in data["figures"]),
                tuple(SamplerFigure(**row) for row in data["samplers"]),
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CheckpointError(f"{path} is missing or damaged ({error!r}); write it with ddmi evaluate") from error
