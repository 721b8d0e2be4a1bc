"""Results of a tuning of the options of sampling: what was tried, with its figures, and what was chosen."""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from attrs import asdict, field, frozen

from ddmi_core import record_files
from ddmi_core.atomic import written_aside
from ddmi_core.errors import CheckpointError
from ddmi_core.evaluation.results import aligned
from ddmi_core.model.tuned import as_words

STORED, BETTER, NO_BETTER, COPIES, FAILED = "at first", "better", "no better", "copies", "not finite"


@frozen
class Trial:
    """Options of sampling that were tried.

    Args:
        options: all of them.
        verdict: `at first`, for the options of the run; `better` or `no better` than the best ones before; `copies` if
            samples come too near to training signals; `not finite` if sampling failed.
        distance: KID of the samples to training signals; lower is better, `None` if sampling failed.
        difference: of the distance from that of the best options before, `(value, low, high)`.
        copying: distance of samples to the nearest training signal, over that of held-out signals.
        seconds: for all samples.
    """

    options: Mapping[str, Any]
    verdict: str
    distance: float | None = None
    difference: tuple[float, float, float] | None = None
    copying: float | None = None
    seconds: float = 0.0


@frozen(repr=False)
class Tuning:
    """A tuning of the options of sampling.

    Args:
        before: options at its beginning.
        chosen: the best options found, or `before` with the requested number of calls.
        trials: in their order.
        planned: number of options that the search tries at most, which its intervals account for.
        ended: why it ended before; empty if it did not.
        protocol: of the distances.
    """

    before: Mapping[str, Any]
    chosen: Mapping[str, Any]
    trials: tuple[Trial, ...]
    planned: int
    ended: str = ""
    protocol: Mapping[str, Any] = field(factory=dict)

    def __repr__(self) -> str:
        """The chosen options, and those before."""
        return f"Tuning: {self._sentence()}"

    def _repr_html_(self) -> str:
        """The lines as notebooks show them."""
        return f"<pre>{escape(chr(10).join(self.lines()))}</pre>"

    def lines(self) -> list[str]:
        """A table of all that was tried, what was chosen, and how to read it."""
        titles = ("options", "distance", "difference", "interval", "copying", "seconds", "verdict")
        rows = [
            (
                as_words(trial.options),
                _number(trial.distance),
                _number(trial.difference[0] if trial.difference else None),
                f"{_number(trial.difference[1])} to {_number(trial.difference[2])}" if trial.difference else "",
                "" if trial.copying is None else f"{trial.copying:.2f}",
                f"{trial.seconds:.1f}",
                trial.verdict,
            )
            for trial in self.trials
        ]
        tried = max(0, len(self.trials) - 1)
        about = (
            f"{tried} of at most {self.planned} options were tried{f'; {self.ended}' if self.ended else ''}. The "
            f"distance is the KID of {self.protocol.get('n', '?')} samples to {self.protocol.get('reference', '?')}; "
            "the difference is from the best options before. Its interval holds for all of them together with "
            "95 %"
        )
        return [*aligned([titles, *rows], "<>>>>><"), "", f"note: {about}", f"chosen: {self._sentence()}"]

    def to_json(self) -> str:
        """As JSON text."""
        return json.dumps(asdict(self), indent=1)

    def save(self, path: Path) -> None:
        """Write as JSON, atomically."""
        with written_aside(path) as aside:
            aside.write_text(record_files.to_json(asdict(self)), encoding="utf-8")

    @staticmethod
    def load(path: Path) -> Tuning:
        """Read a file of `save`.

        Raises:
            CheckpointError: if the file is missing or damaged.
        """
        try:
            return record_files.structured(record_files.read(path), Tuning)
        except FileNotFoundError as error:
            raise CheckpointError(f"{path} is missing; write it with ddmi tune") from error
        except (OSError, record_files.DamagedRecord) as error:
            raise CheckpointError(f"{path} is damaged: {error}. Fix: write it again with ddmi tune") from error

    def _sentence(self) -> str:
        now, before = as_words(self.chosen), as_words(self.before)
        return f"{now}, as before" if self.chosen == self.before else f"{now}; before: {before}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"
