"""Results of an evaluation, as text and as JSON."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from attrs import asdict, field, frozen

from ddmi_core import record_files
from ddmi_core.api.evaluation import OF_REAL
from ddmi_core.api.evaluation import Figure as Figure
from ddmi_core.atomic import written_aside
from ddmi_core.errors import CheckpointError, RequestError, counted
from ddmi_core.model.run_folder import RunFolder, pretrained
from ddmi_core.model.run_results import FIGURES, PAPER_FIGURES, status
from ddmi_core.registry.registry import domain_named

SHOWN = 3  # figures in the text of an evaluation


@frozen
class SamplerFigure:
    """One row of the table of samplers and steps."""

    sampler: str
    steps: int
    evaluations: int  # calls of the denoiser for a batch
    seconds: float  # for all samples
    distance: float  # Fréchet, in the domain's own features, as `frechet_plain`
    protocol: Mapping[str, Any] = field(factory=dict)


@frozen(repr=False)
class Evaluation:
    """All figures of a run.

    Args:
        figures: with their protocols.
        samplers: the table of samplers and steps, of `ddmi evaluate --sweep`.
        notes: what of a requested protocol was not followed.
    """

    figures: tuple[Figure, ...]
    samplers: tuple[SamplerFigure, ...] = ()
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """The number of figures, and the first of them."""
        first = ", ".join(f"{figure.name} {figure.shown}" for figure in self.figures[:SHOWN])
        return f"Evaluation: {counted(len(self.figures), 'figure')}: {first}{', ...' * (len(self.figures) > SHOWN)}"

    def _repr_html_(self) -> str:
        """The lines as notebooks show them."""
        return f"<pre>{escape(chr(10).join(self.lines()))}</pre>"

    def lines(self) -> list[str]:
        """The figures with intervals, figures of real data and meanings; the table of samplers; and the notes."""
        titles = ("sampler", "steps", "evaluations", "seconds", "distance")
        table = [
            (row.sampler, str(row.steps), str(row.evaluations), f"{row.seconds:.1f}", f"{row.distance:.4g}")
            for row in self.samplers
        ]
        lines = self._figure_lines()
        if table:
            lines += ["", *aligned([titles, *table], "<>>>>")]
        return lines + ([""] if self.notes else []) + [f"note: {note}" for note in self.notes]

    def _figure_lines(self) -> list[str]:
        real = {figure.name: figure.shown for figure in self.figures if figure.name.endswith(OF_REAL)}
        names = {figure.name for figure in self.figures}
        rows = [
            (figure.name, figure.shown, figure.shown_interval, real.get(f"{figure.name}{OF_REAL}", ""), figure.meaning)
            for figure in self.figures
            if not (figure.name in real and figure.name.removesuffix(OF_REAL) in names)
        ]
        if not any(row[2] or row[3] for row in rows):
            return aligned([(name, value, meaning) for name, value, _, _, meaning in rows], "<<<")
        return aligned([("figure", "value", "95 % interval", "real data", "meaning"), *rows], "<<<<<")

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
            aside.write_text(record_files.to_json(asdict(self)), encoding="utf-8")

    @staticmethod
    def load(path: Path) -> Evaluation:
        """Read a file of `save`.

        Raises:
            CheckpointError: if the file is missing or damaged.
        """
        try:
            found = record_files.structured(record_files.read(path), _Stored)
        except FileNotFoundError as error:
            raise CheckpointError(f"{path} is missing; write it with ddmi evaluate") from error
        except (OSError, record_files.DamagedRecord) as error:
            raise CheckpointError(f"{path} is damaged: {error}. Fix: write it again with ddmi evaluate") from error
        return Evaluation(found.figures, found.samplers, found.notes)


def own_figures(folder: RunFolder, name: str = FIGURES) -> Evaluation:
    """The stored figures of a run, if they are of its model, data and settings; another version may have made them.

    Args:
        folder: the run.
        name: `FIGURES`, or `PAPER_FIGURES` for those by the protocol of the paper.

    Raises:
        CheckpointError: if there are none, or they are damaged or stale, with the reason and the fix; or the run is not
            finished.
    """
    paper = name == PAPER_FIGURES
    place = folder.paper_metrics if paper else folder.metrics
    result, found = Evaluation.load(place), status(folder, name)
    if not found.own:
        command = f"ddmi evaluate {shlex.quote(str(folder.path))}{' --protocol paper' * paper}"
        raise CheckpointError(f"{place} is {found.shown}. Fix: measure the figures again with {command}")
    return result


def figures(run: str | Path | None = None, *, plugin: str | None = None) -> Evaluation:
    """The stored figures of a run, or of the weights that ship with a plugin; notebooks show them as a table.

    Args:
        run: a run folder.
        plugin: name of a plugin with shipped weights.

    Raises:
        RequestError: unless exactly one of both is given, or if the plugin ships no weights.
        CheckpointError: if there are no figures, or they are damaged or stale, with the reason and the fix.

    Example:
        >>> import ddmi_core as ddmi
        >>> found = ddmi.figures(plugin="image")
        >>> found.value("psnr_db") > 20
        True
    """
    if (run is None) == (plugin is None):
        raise RequestError("give either a run folder or plugin=NAME")
    return own_figures(pretrained(domain_named(str(plugin))) if run is None else RunFolder(Path(run)))


@frozen
class _Stored:
    """The members of the file of an evaluation."""

    figures: tuple[Figure, ...]
    samplers: tuple[SamplerFigure, ...]
    notes: tuple[str, ...] = ()


def aligned(rows: Sequence[Sequence[str]], sides: str) -> list[str]:
    """Rows of cells as lines with aligned columns; each side is `<` or `>`."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(f"{cell:{side}{width}}" for cell, side, width in zip(row, sides, widths, strict=True)).rstrip()
        for row in rows
    ]
