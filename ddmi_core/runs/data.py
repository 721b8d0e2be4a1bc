"""A look at data before they are used."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from attrs import asdict, frozen

from ddmi_core.api.domain import Domain
from ddmi_core.api.signals import Split
from ddmi_core.errors import counted
from ddmi_core.runs.build import load_data
from ddmi_core.runs.evaluate import fingerprint


@frozen
class DataReport:
    """What a source holds."""

    source: str
    training: int
    held_out: int
    classes: dict[str, int]
    fingerprint: str

    def lines(self) -> list[str]:
        """Sentences for a screen."""
        counts = ", ".join(f"{name} {count}" for name, count in self.classes.items())
        return [
            f"{self.source}: {counted(self.training, 'signal')} to train on, {self.held_out} held out",
            f"classes: {counts}" if counts else "no classes",
            f"fingerprint {self.fingerprint[:16]}",
        ]

    def to_json(self) -> str:
        """As JSON text."""
        return json.dumps(asdict(self), indent=1)


def check(domain: Domain, data: str, settings: Any) -> DataReport:
    """Read a source and say what it holds.

    Raises:
        DataError: if it cannot be used.
    """
    return describe(load_data(domain, data, settings), data or domain.default_source)


def describe(split: Split, source: str) -> DataReport:
    """Counts and fingerprint of a split."""
    counts = Counter(split.train.labels.tolist())
    classes = {name: counts[number] for number, name in enumerate(split.train.classes)}
    return DataReport(source, len(split.train), len(split.held_out), classes, fingerprint(split))
