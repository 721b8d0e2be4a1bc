"""Settings, data source, files and pictures of irregular series."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from attrs import field, frozen
from PIL import Image, ImageDraw

from ddmi_core.api import Split, above, inside, within
from ddmi_core.errors import DataError
from ddmi_core.parts import GridArtefact, PointDomain, PointSignal, Source, TensorSet
from ddmi_series.formula import KINDS, Array, measured

WIDE, HIGH = 384, 128  # pixels
INK, PAPER = (38, 84, 124), (244, 246, 249)


@frozen
class SeriesSettings:
    """Settings of the domain.

    Args:
        hours: length of the axis.
        cells: values of a render in the native view.
        count: series of the source `gauges`.
        held_out: share of the series that is kept out of training.
    """

    hours: float = field(default=48.0, validator=above(0, 1e9))
    cells: int = field(default=128, validator=within(8, 65536))
    count: int = field(default=600, validator=within(4, 10**9))
    held_out: float = field(default=0.1, validator=inside(0, 1))

    @property
    def native(self) -> tuple[int]:
        """Values of a render in the native view."""
        return (self.cells,)

    @property
    def extent(self) -> tuple[float]:
        """Hours."""
        return (self.hours,)


def gauges(location: None, settings: SeriesSettings) -> Split:
    """Water levels by formulas, `domain.count` series; the weather is the class."""
    labels = [number % len(KINDS) for number in range(settings.count)]
    rows = [_row(*measured(number, settings.hours), settings) for number in range(settings.count)]
    names = [f"{KINDS[label]} {number:04d}" for number, label in enumerate(labels)]
    return TensorSet(PointSignal.padded(rows), names, KINDS, labels).split(settings.held_out)


def _row(hours: Array, levels: Array, settings: SeriesSettings) -> tuple[torch.Tensor, torch.Tensor]:
    """Coordinates and values, `(m, 1)` each."""
    return torch.from_numpy(2 * hours / settings.hours - 1)[:, None], torch.from_numpy(levels)[:, None]


class SeriesParts(PointDomain[SeriesSettings]):
    """Levels at irregular times."""

    def sources(self) -> Mapping[str, Source]:
        """Water levels by formulas."""
        return {"gauges": gauges}

    def read(self, path: Path) -> PointSignal:
        """The series in a CSV file: a line of names, then hours and levels.

        Raises:
            DataError: if the file is missing, has another form, or has values out of range.
        """
        try:
            hours, levels = np.loadtxt(path, delimiter=",", skiprows=1, ndmin=2, unpack=True)
        except (OSError, ValueError) as error:
            raise DataError(f"{path}: not a table of two columns, hours and levels: {error}") from error
        if not len(hours) or not (abs(2 * hours / self.settings.hours - 1).max() <= 1 and abs(levels).max() <= 1):
            raise DataError(f"{path}: hours must lie in 0 to {self.settings.hours:g}, and levels in -1 to 1")
        return PointSignal.padded([_row(hours, levels, self.settings)])

    def exporters(self) -> Mapping[str, Callable[[GridArtefact, Path], None]]:
        """Tables, which `read` takes, and arrays."""
        return {".csv": write_table, **super().exporters()}

    def picture(self, artefact: GridArtefact) -> Image.Image:
        """The curve, interrupted where values are unknown."""
        drawn = Image.new("RGB", (WIDE, HIGH), PAPER)
        values = artefact.array()[:, 0].tolist()
        places = [((i + 0.5) / len(values) * WIDE, (1 - value) / 2 * HIGH) for i, value in enumerate(values)]
        for first, second in pairwise(places):
            if first[1] == first[1] and second[1] == second[1]:  # not NaN
                ImageDraw.Draw(drawn).line([first, second], INK, 2)
        return drawn


def write_table(artefact: GridArtefact, path: Path) -> None:
    """Write the known values as a table of hours and levels."""
    levels = artefact.array()[:, 0]
    hours = (np.arange(len(levels)) + 0.5) / len(levels) * artefact.extent[0]
    rows = np.stack([hours, levels], axis=1)[np.isfinite(levels)]
    np.savetxt(path, rows, fmt="%.6f", delimiter=",", header="hours,level", comments="")
