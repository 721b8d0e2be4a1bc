"""The run's log: one JSON record a line, consistent after any stop."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ddmi_core.training.checkpoint import written_aside


class Log:
    """Appends records to `log.jsonl`.

    Args:
        path: the file; created when the first record is written.
        writer: an object with `add_scalar(name, value, step)` (TensorBoard's `SummaryWriter`), or None.
    """

    def __init__(self, path: Path, writer: Any = None) -> None:
        self.path, self.writer = path, writer

    def write(self, stage: str, step: int, values: Mapping[str, float]) -> None:
        """Append one record."""
        with self.path.open("a") as stream:
            stream.write(json.dumps({"stage": stage, "step": step, **values}) + "\n")
        if self.writer is not None:
            for name, value in values.items():
                self.writer.add_scalar(f"{stage}/{name}", value, step)

    def records(self) -> Iterator[dict[str, Any]]:
        """Yield all whole records; a line cut off by a crash is skipped."""
        if not self.path.exists():
            return
        for line in self.path.read_text().splitlines():
            try:
                yield json.loads(line)
            except ValueError:
                continue

    def rewind(self, stage: str, step: int) -> None:
        """Drop a stage's records from `step` on, which a resumed stage will write again."""
        if not self.path.exists():
            return
        kept = [r for r in self.records() if r.get("stage") != stage or r.get("step", 0) < step]
        with written_aside(self.path) as aside:
            aside.write_text("".join(json.dumps(record) + "\n" for record in kept))
