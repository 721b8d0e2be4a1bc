"""The figures of a study, as stored beside its file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import attrs
import cattrs
from attrs import frozen


@frozen
class Trial:
    """One run of a study.

    Args:
        arm: its name.
        seed: of the run.
        steps: of both stages.
        seconds: processor seconds of the whole run, with samples and evaluation.
        figures: by name.
        real: the same of real data, for those figures that have one.
    """

    arm: str
    seed: int
    steps: tuple[int, ...]
    seconds: float
    figures: dict[str, float]
    real: dict[str, float]


@frozen
class Results:
    """All runs of a study.

    Args:
        machine: name of the processor.
        torch: version of torch.
        trials: the runs; each seed has one of every arm.
    """

    machine: str
    torch: str
    trials: tuple[Trial, ...]

    def values(self, arm: str, figure: str) -> list[float]:
        """A figure of an arm, one value for each seed, in the order of seeds."""
        return [trial.figures[figure] for trial in self.of_arm(arm)]

    def real(self, figure: str) -> float | None:
        """The mean of a figure of real data, if it has one."""
        values = [trial.real[figure] for trial in self.trials if figure in trial.real]
        return sum(values) / len(values) if values else None

    def of_arm(self, arm: str) -> Sequence[Trial]:
        """The runs of an arm."""
        return [trial for trial in self.trials if trial.arm == arm]

    def save(self, path: Path) -> None:
        """Write them as JSON."""
        path.write_text(json.dumps(attrs.asdict(self), indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Results:
        """Read stored results."""
        return cattrs.structure(json.loads(path.read_text(encoding="utf-8")), cls)
