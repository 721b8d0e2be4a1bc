"""A tracker that writes the figures of training as CSV."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

from ddmi_core.api import Tracker


class CsvTracker(Tracker):
    """Writes `figures.csv`: one row `stage, step, name, value` per figure. A resumed run appends."""

    def __init__(self, run: Path) -> None:
        super().__init__(run)
        place = run / "figures.csv"
        new = not place.exists()
        self._stream = place.open("a", newline="", encoding="utf-8")
        self._rows = csv.writer(self._stream)
        if new:
            self._rows.writerow(("stage", "step", "name", "value"))

    def record(self, stage: str, step: int, values: Mapping[str, float]) -> None:
        """Write one row per figure."""
        self._rows.writerows((stage, step, name, value) for name, value in values.items())
        self._stream.flush()

    def close(self) -> None:
        """Close the file."""
        self._stream.close()
