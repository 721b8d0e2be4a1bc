"""Runs checks and collects their outcomes."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence

from attrs import asdict, field, frozen

from ddmi_core.errors import counted
from ddmi_core.testing.check import Check, ContractBroken, NotApplicable
from ddmi_core.testing.check_list import CHECKS, IN_A_FRESH_PROCESS
from ddmi_core.testing.subject import Subject

OK, FAILED, SKIPPED = "ok", "FAILED", "skipped"


@frozen(kw_only=True)
class Outcome:
    """Outcome of one check.

    Args:
        check: its name.
        contract: the contract in one sentence.
        state: `ok`, `FAILED` or `skipped`.
        found: the violation with measured values, the reason of a skip, or what a passed check did not examine.
        fix: how to correct a violation.
        numbers: measured values, as texts.
        seconds: duration, including the creation of objects that it uses first.
    """

    check: str
    contract: str
    state: str
    found: str = ""
    fix: str = ""
    numbers: dict[str, str] = field(factory=dict)
    seconds: float

    def lines(self) -> list[str]:
        """One line; for a failed check also the contract, the violation and the fix."""
        first = f"{self.state:7}  {self.check}"
        if self.state == FAILED:
            return [first, f"         {self.contract}", f"         {self.found}", f"         fix: {self.fix}"]
        return [f"{first}  ({self.found})" if self.found else first]


@frozen
class Outcomes:
    """Outcomes of the checks of one domain."""

    domain: str
    outcomes: tuple[Outcome, ...]
    seconds: float

    @property
    def failed(self) -> tuple[Outcome, ...]:
        """Outcomes of the failed checks."""
        return tuple(outcome for outcome in self.outcomes if outcome.state == FAILED)

    def summary(self) -> str:
        """Counts and time in one line."""
        counts = [(state, sum(outcome.state == state for outcome in self.outcomes)) for state in (OK, FAILED, SKIPPED)]
        shown = ", ".join(f"{number} {state.lower()}" for state, number in counts if number)
        return f"{self.domain}: {counted(len(self.outcomes), 'check')}, {shown}, in {self.seconds:.1f} s"

    def to_json(self) -> str:
        """As JSON text."""
        rows = [asdict(outcome) for outcome in self.outcomes]
        return json.dumps({"plugin": self.domain, "seconds": round(self.seconds, 2), "checks": rows}, indent=1)


def examine(
    subject: Subject, checks: Sequence[Check] = CHECKS, tell: Callable[[Outcome], None] = lambda outcome: None
) -> Outcomes:
    """Run checks; a failed check does not stop the following ones.

    Args:
        subject: the domain under test.
        checks: the checks to run.
        tell: called with each outcome.
    """

    def outcomes() -> Iterator[Outcome]:
        for check in checks:
            outcome = _outcome(check, subject)
            tell(outcome)
            yield outcome

    started = time.perf_counter()
    if set(checks) & set(IN_A_FRESH_PROCESS):
        subject.begin()
    found = tuple(outcomes())
    return Outcomes(subject.domain.name, found, time.perf_counter() - started)


def _outcome(check: Check, subject: Subject) -> Outcome:
    started = time.perf_counter()
    state, found, fix, numbers = OK, "", "", {}
    try:
        found = check(subject) or ""
    except ContractBroken as broken:
        state, found, fix = FAILED, broken.found, broken.fix
        numbers = {name: str(value) for name, value in broken.numbers.items()}
    except NotApplicable as reason:
        state, found = SKIPPED, str(reason)
    seconds = round(time.perf_counter() - started, 3)
    return Outcome(
        check=check.name,
        contract=check.contract,
        state=state,
        found=found,
        fix=fix,
        numbers=numbers,
        seconds=seconds,
    )
