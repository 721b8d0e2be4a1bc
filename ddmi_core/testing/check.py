"""A check of the plugin contract, and the two ways in which it ends other than well."""

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
Remark = str | None  # what a check that passed could not look at


class ContractBroken(AssertionError):  # noqa: N818 - what pytest shows, not an error of the program
    """A plugin does not keep a contract.

    Args:
        check: name of the check, without `check_`.
        what: what was found, as a sentence without a full stop.
        numbers: what was measured, by name.
        fix: what to change.
    """

    def __init__(self, check: str, what: str, numbers: Mapping[str, object], fix: str) -> None:
        super().__init__(check, what, numbers, fix)
        self.check, self.what, self.numbers, self.fix = check, what, dict(numbers), fix

    @property
    def found(self) -> str:
        """What was found, with its numbers."""
        shown = ", ".join(f"{name.replace('_', ' ')} {_shown(value)}" for name, value in self.numbers.items())
        return f"{self.what} ({shown})" if shown else self.what

    def __str__(self) -> str:
        """All of it in one paragraph."""
        return f"contract {self.check!r} is broken: {self.found}. Fix: {self.fix}"


class NotApplicable(SkipTest):
    """A check has nothing to look at in this plugin; the text says why. Test runners show it as a skip."""


def expect(kept: bool, what: str, fix: str, /, **numbers: object) -> None:
    """Go on if a contract is kept.

    Raises:
        ContractBroken: if it is not; the check that calls it adds its name.
    """
    if not kept:
        raise ContractBroken("", what, numbers, fix)


@frozen
class Check:
    """One contract with the function that looks whether a plugin keeps it."""

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
        """Look at a plugin, without a network.

        Returns:
            what could not be looked at, if anything.

        Raises:
            ContractBroken: if the contract is not kept, or looking at it raised anything.
            NotApplicable: if there is nothing to look at.
        """
        with offline() as attempts:
            broken = remark = skipped = None
            try:
                remark = self.function(subject)
            except ContractBroken as error:
                broken = ContractBroken(self.name, error.what, error.numbers, error.fix)
            except NotApplicable as error:
                skipped = error
            except Exception as error:
                broken = self._raised(error)
                broken.__cause__ = error
        if attempts:
            raise ContractBroken(
                self.name,
                "it tried to reach the network",
                {"connections": len(attempts), "first": attempts[0]},
                "read what is installed or given; fetch nothing while signals are read, drawn or rendered",
            ) from broken
        if broken or skipped:
            raise broken or skipped  # type: ignore[misc]
        return remark

    def _raised(self, error: Exception) -> ContractBroken:
        frames = traceback.extract_tb(error.__traceback__)
        own = [frame for frame in frames if not {"testing", "torch"} & set(Path(frame.filename).parts)]
        last = (own or frames)[-1]
        fix = f"make it work there; the contract is: {self.contract}"
        if isinstance(error, PluginError):
            fix = "let the description name what can be imported"
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
