"""Measured figures, each with the protocol that it was measured by."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import asdict, frozen

from ddmi_core.api.domain import HIGHER_IS_BETTER
from ddmi_core.errors import CheckpointError
from ddmi_core.files import written_aside

RECONSTRUCTION = "reconstruction_"
SAMPLES = "frechet_samples_to_training"
HELD_OUT = "frechet_held_out_to_training"

_MEANINGS = {
    SAMPLES: "distance of samples to the training signals; lower is better",
    HELD_OUT: "distance of held-out to the training signals: that of real ones",
}


@frozen
class Figure:
    """One number: what it is, and how it was obtained.

    Names: `reconstruction_METRIC` is a domain's metric, the mean over reconstructions of held-out signals.
    `frechet_samples_to_training` is the Fréchet distance of samples to the training signals, on the domain's
    features: lower is better. `frechet_held_out_to_training` is that of the held-out signals, so it says what
    real signals have; it shrinks with the number of signals, which the protocols give.
    """

    name: str
    value: float
    protocol: Mapping[str, Any]  # n, seed, sampler, steps, data, versions, ...

    @property
    def shown(self) -> str:
        """The value with its unit."""
        return f"{self.value:.4g}" + (" dB" if self.name.endswith("_db") else "")

    @property
    def meaning(self) -> str:
        """What it is and what is better, in words."""
        if self.name.startswith(RECONSTRUCTION):
            better = "higher" if self.name.endswith(HIGHER_IS_BETTER) else "lower"
            return f"reconstructions of held-out signals; {better} is better"
        return _MEANINGS.get(self.name, "")


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

    def lines(self) -> list[str]:
        """The figures with their meanings, then the table of samplers."""
        rows = [(figure.name, figure.shown, figure.meaning) for figure in self.figures]
        titles = ("sampler", "steps", "evaluations", "seconds", "distance")
        table = [
            (row.sampler, str(row.steps), str(row.evaluations), f"{row.seconds:.1f}", f"{row.distance:.4g}")
            for row in self.samplers
        ]
        lines = _aligned(rows, "<<<")
        return [*lines, "", *_aligned([titles, *table], "<>>>>")] if table else lines

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


def _aligned(rows: Sequence[Sequence[str]], sides: str) -> list[str]:
    """Rows of cells as lines with columns; each side is `<` or `>`."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(f"{cell:{side}{width}}" for cell, side, width in zip(row, sides, widths, strict=True)).rstrip()
        for row in rows
    ]
