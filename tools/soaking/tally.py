"""The table of a soak: counts by kind, and each failure with what reproduces it, written after each round."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

from attrs import define, field

from soaking.trials import ERROR, GOOD, OK, OUTCOMES, Verdict

HEADS = ("trials", "ok by result", "ok by error", "tracebacks", "hangs", "silent changes", "other")
MOST = 3  # failures that are alike and described; the others are counted


@define
class Tally:
    """Counts of verdicts, and failures.

    Args:
        out: folder of the files.
        seed: of the soak.
    """

    out: Path
    seed: int
    counts: dict[str, dict[str, int]] = field(factory=dict)
    failures: list[dict[str, str]] = field(factory=list)
    alike: dict[tuple[str, str, str], int] = field(factory=dict)
    begun: float = field(factory=time.time)

    def add(self, kind: str, number: int, verdict: Verdict) -> bool:
        """Count a verdict, and describe a failure that is like few others; returns whether it did."""
        row = self.counts.setdefault(kind, dict.fromkeys(OUTCOMES, 0))
        row[verdict.outcome] += 1
        row[OK] += verdict.taken
        row[ERROR] += verdict.refused
        if verdict.outcome in GOOD:
            return False
        like = (kind, verdict.outcome, re.sub(r"[0-9]+|'[^']*'|\([^)]*\)", "", verdict.said)[:120])
        self.alike[like] = self.alike.get(like, 0) + 1
        if self.alike[like] > MOST:
            return False
        again = f"--only {kind} --seed {self.seed} --trial {number}"
        facts = {"kind": kind, "outcome": verdict.outcome, "how": verdict.how, "said": verdict.said, "again": again}
        self.failures.append(facts)
        with (self.out / "failures.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(facts) + "\n")
        return True

    @property
    def failed(self) -> int:
        """Number of trials that failed."""
        return sum(row[outcome] for row in self.counts.values() for outcome in OUTCOMES if outcome not in GOOD)

    def table(self) -> str:
        """The counts as a table in Markdown."""
        rows = [f"| kind | {' | '.join(HEADS)} |", f"| --- {'| ---: ' * len(HEADS)}|"]
        total = dict.fromkeys(OUTCOMES, 0)
        for kind, row in self.counts.items():
            total = {outcome: total[outcome] + row[outcome] for outcome in OUTCOMES}
            rows.append(_row(kind, row))
        return "\n".join([*rows, _row("all", total)]) + "\n"

    def write(self) -> None:
        """Write `table.md` and `table.json`."""
        minutes = (time.time() - self.begun) / 60
        (self.out / "table.md").write_text(
            f"Seed {self.seed}, {minutes:.0f} minutes, {self.failed} failures.\n\n{self.table()}", encoding="utf-8"
        )
        facts = {"seed": self.seed, "minutes": round(minutes, 1), "counts": self.counts, "failures": self.failures}
        (self.out / "table.json").write_text(json.dumps(facts, indent=1), encoding="utf-8")


def _row(kind: str, row: dict[str, int]) -> str:
    return f"| {kind} | {' | '.join(str(n) for n in (sum(row.values()), *(row[outcome] for outcome in OUTCOMES)))} |"
