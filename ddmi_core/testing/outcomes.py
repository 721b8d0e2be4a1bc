"""Runs checks and collects their outcomes."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from attrs import asdict, evolve, field, frozen

from ddmi_core.errors import counted
from ddmi_core.progress import tracked
from ddmi_core.testing.check import Check, ContractBroken, NotApplicable, TimeLimit
from ddmi_core.testing.check_list import CHECKS, IN_A_FRESH_PROCESS, check_named
from ddmi_core.testing.subject import Subject

OK, FAILED, SKIPPED, SLOW = "ok", "FAILED", "skipped", "slow"
XFAILED, XPASSED = "xfailed", "XPASSED"  # expected failures, and those that passed
STATES = (OK, FAILED, XPASSED, SLOW, XFAILED, SKIPPED)


@frozen(kw_only=True)
class Outcome:
    """Outcome of one check.

    Args:
        check: its name.
        contract: the contract in one sentence.
        state: `ok`, `FAILED`, `skipped`, `slow` for a time limit, `xfailed` for an expected failure, and `XPASSED`
            for one that passed.
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
        if self.state in (FAILED, XPASSED):
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
        """Outcomes of the checks that failed, passed although a failure was expected, or met a time limit."""
        return tuple(outcome for outcome in self.outcomes if outcome.state in (FAILED, XPASSED, SLOW))

    def summary(self) -> str:
        """Counts and time, and a line for each check in `failed`: its name and the reason."""
        counts = [(state, sum(outcome.state == state for outcome in self.outcomes)) for state in STATES]
        shown = ", ".join(f"{number} {state.lower()}" for state, number in counts if number)
        lines = [f"{self.domain}: {counted(len(self.outcomes), 'check')}, {shown}, in {self.seconds:.1f} s"]
        return "\n".join([*lines, *(f"  {outcome.state} {outcome.check}: {outcome.found}" for outcome in self.failed)])

    def to_json(self) -> str:
        """As JSON text."""
        rows = [asdict(outcome) for outcome in self.outcomes]
        return json.dumps({"plugin": self.domain, "seconds": round(self.seconds, 2), "checks": rows}, indent=1)


def examine(
    subject: Subject,
    checks: Sequence[Check] = CHECKS,
    tell: Callable[[Outcome], None] = lambda outcome: None,
    expected_failures: Mapping[str, str] | None = None,
) -> Outcomes:
    """Run checks; a failed check does not stop the following ones.

    Args:
        subject: the domain under test.
        checks: the checks to run.
        tell: called with each outcome.
        expected_failures: reasons for expected failures by the name of the check; such a check must fail.

    Raises:
        RequestError: if an expected failure names no check.
    """
    reasons = {check_named(name).name: reason for name, reason in (expected_failures or {}).items()}

    def outcomes() -> Iterator[Outcome]:
        for check in tracked("checks", checks):
            outcome = _outcome(check, subject)
            if check.name in reasons:
                outcome = _as_expected(outcome, reasons[check.name])
            tell(outcome)
            yield outcome

    started = time.perf_counter()
    if set(checks) & set(IN_A_FRESH_PROCESS):
        subject.begin()
    found = tuple(outcomes())
    return Outcomes(subject.domain.name, found, time.perf_counter() - started)


def _as_expected(outcome: Outcome, reason: str) -> Outcome:
    """The outcome of a check whose failure is expected."""
    if outcome.state == FAILED:
        return evolve(outcome, state=XFAILED, found=reason, fix="")
    if outcome.state == OK:
        found = f"it passed, and a failure was expected: {reason}"
        return evolve(outcome, state=XPASSED, found=found, fix="remove it from the expected failures")
    return outcome


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
    except TimeLimit as limit:
        state, found = SLOW, str(limit)
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
