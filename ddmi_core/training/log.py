"""The training log: one JSON record per line, consistent after an interruption."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ddmi_core.atomic import write_error, written_aside


class Log:
    """Appends records to `log.jsonl`.

    Args:
        path: the file; created when the first record is written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, stage: str, step: int, values: Mapping[str, float]) -> None:
        """Append one record.

        Raises:
            OutputError: if the file cannot be written.
        """
        try:
            with self.path.open("a") as stream:
                stream.write(json.dumps({"stage": stage, "step": step, **values}) + "\n")
        except OSError as error:
            raise write_error(self.path, error) from error

    def records(self) -> Iterator[dict[str, Any]]:
        """Yield all complete records; skips a line that a crash truncated."""
        if not self.path.exists():
            return
        for line in self.path.read_text().splitlines():
            try:
                yield json.loads(line)
            except (ValueError, RecursionError):
                continue

    def rewind(self, stage: str, step: int) -> None:
        """Remove a stage's records after `step`, which a resumed stage writes again."""
        if not self.path.exists():
            return
        kept = [r for r in self.records() if r.get("stage") != stage or r.get("step", 0) <= step]
        with written_aside(self.path) as aside:
            aside.write_text("".join(json.dumps(record) + "\n" for record in kept))
