"""The training log: one JSON record per line, consistent after an interruption."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from math import isfinite
from pathlib import Path
from typing import Any

from attrs import frozen

from ddmi_core import record_files
from ddmi_core.atomic import check_guards, write_error, written_aside

LONGEST = 1 << 20  # bytes of a line
_NAMES = ("stage", "step")


@frozen
class _Head:
    """What every record has."""

    stage: str
    step: int


class Log:
    """Appends records to `log.jsonl`.

    Args:
        path: the file; created when the first record is written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, stage: str, step: int, values: dict[str, float]) -> None:
        """Append one record.

        Raises:
            OutputError: if the file cannot be written.
        """
        check_guards(self.path)
        try:
            with self.path.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps({"stage": stage, "step": step, **values}) + "\n")
        except OSError as error:
            raise write_error(self.path, error) from error

    def records(self) -> Iterator[dict[str, Any]]:
        """Yield all records with a stage, a step and numbers; other lines are left out, see `left_out`."""
        yield from filter(None, self._lines())

    def left_out(self) -> int:
        """Number of lines that are no records: damaged ones, and one that a crash has cut."""
        return sum(record is None for record in self._lines())

    def rewind(self, stage: str, step: int) -> int:
        """Remove a stage's records after `step`, which a resumed stage writes again, and lines that are no records.

        Returns:
            number of lines that are no records.
        """
        if not self.path.exists():
            return 0
        every = list(self._lines())
        kept = [record for record in every if record and (record["stage"] != stage or record["step"] <= step)]
        with written_aside(self.path) as aside:
            aside.write_text("".join(json.dumps(record) + "\n" for record in kept), encoding="utf-8")
        return every.count(None)

    def _lines(self) -> Iterator[dict[str, Any] | None]:
        """Yield the record of each line that is not blank, or `None`."""
        if not self.path.is_file():
            return
        with self.path.open("rb") as stream:
            while line := stream.readline(LONGEST):
                if line.strip():
                    yield _record(line)


def _record(line: bytes) -> dict[str, Any] | None:
    with suppress(record_files.DamagedRecord):
        found = record_files.parsed(line)
        head = record_files.structured(found, _Head)
        numbers = record_files.structured({k: v for k, v in found.items() if k not in _NAMES}, dict[str, float])
        if head.step >= 0 and head.stage.isprintable():
            return {"stage": head.stage, "step": head.step, **{k: found[k] for k in numbers if isfinite(numbers[k])}}
    return None
