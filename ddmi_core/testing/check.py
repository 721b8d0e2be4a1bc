"""A check of the plugin contract, with the exceptions for failed and skipped checks."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from unittest import SkipTest

from attrs import frozen

from ddmi_core.errors import PluginError
from ddmi_core.testing.offline import offline

if TYPE_CHECKING:
    from ddmi_core.testing.subject import Subject

PREFIX = "check_"
CAUSES = ("inputs_are_left", "values")  # checks whose faults make others fail
Remark = str | None  # what a passed check did not examine


class ContractBroken(AssertionError):  # noqa: N818 - shown by pytest, not an error of the program
    """A plugin violates the contract.

    Args:
        check: name of the check, without `check_`.
        what: the violation, as a sentence without a full stop.
        numbers: measured values by name.
        fix: how to correct it.
    """

    def __init__(self, check: str, what: str, numbers: Mapping[str, object], fix: str) -> None:
        super().__init__(check, what, numbers, fix)
        self.check, self.what, self.numbers, self.fix = check, what, dict(numbers), fix

    @property
    def found(self) -> str:
        """The violation with the measured values."""
        shown = ", ".join(f"{name.replace('_', ' ')} {_shown(value)}" for name, value in self.numbers.items())
        return f"{self.what} ({shown})" if shown else self.what

    def __str__(self) -> str:
        """Check, violation and fix in one paragraph."""
        return f"contract {self.check!r} is broken: {self.found}. Fix: {self.fix}"


class TimeLimit(RuntimeError):  # noqa: N818 - a slow machine, not a violation of the contract
    """A check took more CPU time than its limit."""


class NotApplicable(SkipTest):
    """A check does not apply to this plugin; the text gives the reason. Test runners report a skip."""


def expect(kept: bool, what: str, fix: str, /, **numbers: object) -> None:
    """Raise an error unless a contract is kept.

    Raises:
        ContractBroken: if it is violated; the calling check adds its name.
    """
    if not kept:
        raise ContractBroken("", what, numbers, fix)


@frozen
class Check:
    """One contract, with the function that checks it."""

    function: Callable[[Subject], Remark]

    @property
    def name(self) -> str:
        """Name of the function without `check_`."""
        return self.function.__name__.removeprefix(PREFIX)

    @property
    def contract(self) -> str:
        """The contract in one sentence."""
        return " ".join((self.function.__doc__ or "").split())

    def __call__(self, subject: Subject) -> Remark:
        """Check a plugin, without network access.

        Returns:
            what could not be examined, if anything.

        Raises:
            ContractBroken: if the contract is violated, or the check raised another exception.
            NotApplicable: if the check does not apply.
        """
        before = subject.cause  # that an earlier check has found
        with offline() as attempts:
            broken = remark = skipped = None
            try:
                remark = self.function(subject)
            except ContractBroken as error:
                broken = ContractBroken(self.name, error.what, error.numbers, error.fix)
            except NotApplicable as error:
                skipped = error
            except TimeLimit:
                raise
            except Exception as error:
                broken = self._raised(error)
                broken.__cause__ = error
        if broken and before and self.name not in CAUSES:
            skipped, broken = NotApplicable(f"fails, perhaps because {before}; correct that first"), None
        if attempts:
            raise ContractBroken(
                self.name,
                "it tried to access the network",
                {"connections": len(attempts), "first": attempts[0]},
                "use installed or given files; download nothing while signals are read, sampled or rendered",
            ) from broken
        if broken or skipped:
            raise broken or skipped  # type: ignore[misc]
        return remark

    def _raised(self, error: Exception) -> ContractBroken:
        frames = traceback.extract_tb(error.__traceback__)
        own = [frame for frame in frames if not {"testing", "torch"} & set(Path(frame.filename).parts)]
        last = (own or frames)[-1]
        if isinstance(error, PluginError):  # it names the place
            what, _, fix = str(error).partition(". Fix: ")
            fix = fix or "correct the description, or the class of the implementation"
            return ContractBroken(self.name, what, {"error": type(error).__name__}, fix)
        fix = f"correct the error at this line; the contract is: {self.contract}"
        return ContractBroken(
            self.name,
            f"{type(error).__name__}: {error}",
            {"in": f"{last.filename}:{last.lineno}", "where": last.name},
            fix,
        )


def _shown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        return f"({', '.join(map(_shown, value))})"
    return str(value)
