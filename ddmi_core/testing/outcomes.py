"""Makes checks one after the other, and keeps what came of each."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence

from attrs import asdict, field, frozen

from ddmi_core.errors import counted
from ddmi_core.testing.catalogue import CHECKS, IN_A_FRESH_PROCESS
from ddmi_core.testing.check import Check, ContractBroken, NotApplicable
from ddmi_core.testing.subject import Subject

OK, FAILED, SKIPPED = "ok", "FAILED", "skipped"


@frozen(kw_only=True)
class Outcome:
    """What came of one check.

    Args:
        check: its name.
        contract: what it looks at, in one sentence.
        state: `ok`, `FAILED` or `skipped`.
        found: what is wrong, with numbers; why there was nothing to look at; or what a passed check left out.
        fix: what to change.
        numbers: what was measured, as texts.
        seconds: how long it took, with the making of what it was the first to need.
    """

    check: str
    contract: str
    state: str
    found: str = ""
    fix: str = ""
    numbers: dict[str, str] = field(factory=dict)
    seconds: float

    def lines(self) -> list[str]:
        """One line, and where the contract is broken, how and what to change below it."""
        first = f"{self.state:7}  {self.check}"
        if self.state == FAILED:
            return [first, f"         {self.contract}", f"         {self.found}", f"         fix: {self.fix}"]
        return [f"{first}  ({self.found})" if self.found else first]


@frozen
class Outcomes:
    """What came of all checks of one domain."""

    domain: str
    outcomes: tuple[Outcome, ...]
    seconds: float

    @property
    def failed(self) -> tuple[Outcome, ...]:
        """Those that found a contract broken."""
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
    """Make checks, all of them whatever they find.

    Args:
        subject: what to look at.
        checks: which.
        tell: told after each.
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
