"""Results of an evaluation, as text and as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from attrs import asdict, frozen

from ddmi_core.api.evaluation import Figure as Figure
from ddmi_core.atomic import written_aside
from ddmi_core.errors import CheckpointError
from ddmi_core.training.checkpoint import DAMAGED


@frozen
class SamplerFigure:
    """One row of the table of samplers and steps."""

    sampler: str
    steps: int
    evaluations: int  # calls of the denoiser for a batch
    seconds: float  # for all samples
    distance: float  # Fréchet, to the training signals


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
        """Write as JSON, atomically."""
        with written_aside(path) as aside:
            aside.write_text(self.to_json() + "\n")

    @staticmethod
    def load(path: Path) -> Evaluation:
        """Read a file of `save`.

        Raises:
            CheckpointError: if the file is missing or damaged.
        """
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            found = Evaluation(
                tuple(Figure(**figure) for figure in data["figures"]),
                tuple(SamplerFigure(**row) for row in data["samplers"]),
            )
            found.lines()  # which have the numbers as text
            return found
        except (OSError, *DAMAGED) as error:
            raise CheckpointError(f"{path} is missing or damaged ({error!r}); write it with ddmi evaluate") from error


def _aligned(rows: Sequence[Sequence[str]], sides: str) -> list[str]:
    """Rows of cells as lines with aligned columns; each side is `<` or `>`."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(f"{cell:{side}{width}}" for cell, side, width in zip(row, sides, widths, strict=True)).rstrip()
        for row in rows
    ]
