"""The account of a data set: files taken and left out, with reasons, and what readers changed in the signals."""

from __future__ import annotations

import logging
import re
import statistics
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path, PurePosixPath
from typing import Any

from attrs import asdict, define, field, frozen

from ddmi_core.errors import counted, printable

log = logging.getLogger(__name__)

_FIGURE = re.compile(r"\d[\d.,]*")

SHOWN = 5  # names in a line, unless all are asked for
KINDS = 20  # lines of different problems, and names of files whose suffix no other one has

# Reasons, which follow a number of files:
SUFFIX = "with another suffix"
UNUSABLE = "cannot be used"
IN_UNUSABLE = "in folders that cannot be used"
NOT_CHOSEN = "beyond the setting limit"
UNREAD_CAPTIONS = "captions that are not read"


@frozen
class Change:
    """One transformation of a signal by its reader.

    Signals are counted by `what`, and the amounts are summarised, so `what` is the same text for all signals that are
    changed in this way.

    Args:
        what: the transformation, as a past participle: `cut to the central square`.
        amount: how much, for the summary: the share that is cut off, for example.
        unit: what the amount measures: `of the area`.
        values: what is needed to undo it, as JSON values: `{"box": [120, 0, 840, 720]}`.
        fix: what to do about it, if it is rarely wanted; makes a warning of it.

    Example:
        >>> Change("cut to the central square", 0.25, "of the area", {"box": [10, 0, 70, 60]}).what
        'cut to the central square'
    """

    what: str
    amount: float | None = None
    unit: str = ""
    values: Mapping[str, Any] = field(factory=dict)
    fix: str = ""


@frozen
class Remark:
    """A warning about a data set, with the files or signals that it concerns."""

    text: str
    names: tuple[str, ...] = ()
    fix: str = ""

    def sentence(self) -> str:
        """The warning on one line, with the first names."""
        line = _listed(self.text, self.names, every=False)
        return f"{line}. Fix: {self.fix}" if self.fix else line


@frozen
class LeftOut:
    """Why a file is not used: a reason by which files are counted, and a sentence about this file."""

    reason: str
    detail: str = ""


@define
class Account:
    """Files of a data set, changes of its signals, and warnings, in the order in which they were recorded.

    A source writes into the account that is open while it loads: `find_files` and `FolderSource` do it by themselves.

    Attributes:
        taken: purpose of each file that is used: the kind of the signals, or `captions`.
        left_out: why each other file is not used.
        changes: of each signal, by name.
        remarks: warnings.
    """

    taken: dict[str, str] = field(factory=dict)
    left_out: dict[str, LeftOut] = field(factory=dict)
    changes: dict[str, tuple[Change, ...]] = field(factory=dict)
    remarks: list[Remark] = field(factory=list)
    _places: list[Path] = field(factory=list)

    def take(self, location: Path, names: Iterable[str], kind: str, *, again: bool = True) -> None:
        """Record files below a location as signals of a kind, or as used for another purpose.

        Files that are left out for another reason than their suffix stay so.

        Args:
            location: folder or archive.
            names: of the files.
            kind: what they are, in the plural.
            again: also for files that are recorded with another purpose.
        """
        for name in names:
            key = self._key(location, name)
            if self.left_out.get(key, LeftOut(SUFFIX)).reason == SUFFIX:
                self.left_out.pop(key, None)
                self.taken[key] = kind if again else self.taken.get(key, kind)

    def leave_out(self, location: Path, name: str, reason: str, detail: str = "") -> None:
        """Record a file or folder below a location that is not used.

        Its suffix is no reason if it is taken, or left out for another reason. Files of an unusable folder are left out
        with it.
        """
        key = self._key(location, name)
        if reason == SUFFIX and (key in self.taken or key in self.left_out):
            return
        if reason == UNUSABLE and key not in self.taken:
            for inside in [each for each in self.taken if each.startswith(f"{key}/")]:
                del self.taken[inside]
                self.left_out[inside] = LeftOut(IN_UNUSABLE)
        self.taken.pop(key, None)
        self.left_out[key] = LeftOut(reason, detail)

    def change(self, signal: str, changes: Sequence[Change]) -> None:
        """Record what a reader did to a signal."""
        if changes:
            self.changes[signal] = tuple(changes)

    def remark(self, text: str, names: Iterable[str] = (), fix: str = "") -> None:
        """Record a warning; one that is there already is not repeated."""
        remark = Remark(text, tuple(names), fix)
        if remark not in self.remarks:
            self.remarks.append(remark)

    @property
    def warnings(self) -> list[Remark]:
        """The remarks, and one for each kind of change that has a fix, with the amounts behind the names."""
        found: dict[tuple[str, str], list[str]] = {}
        for name, change in self._each():
            if change.fix:
                much = "" if change.amount is None else f" ({_amount(change.amount, change.unit)})"
                found.setdefault((change.what, change.fix), []).append(name + much)
        of_changes = [
            Remark(f"{counted(len(names), 'signal')} {what}", tuple(names), fix) for (what, fix), names in found.items()
        ]
        return [*self.remarks, *of_changes]

    def files_line(self) -> str:
        """The files in one line: how many are taken and left out; empty without files."""
        reasons = ", ".join(f"{len(left)} {reason}" for reason, left in self._by_reason())
        return self._counts() + (f" ({reasons})" if reasons else "")

    def _counts(self) -> str:
        if not self.taken and not self.left_out:
            return ""
        kinds = ", ".join(f"{count} {kind}" for kind, count in Counter(self.taken.values()).items())
        return f"files: {kinds or 'none taken'}; {len(self.left_out) or 'none'} left out"

    def _by_reason(self) -> list[tuple[str, dict[str, str]]]:
        """Reasons, each with sentences by file: unusable files, then by the number of files."""
        found: dict[str, dict[str, str]] = {}
        for name, left in self.left_out.items():
            found.setdefault(left.reason, {})[name] = left.detail
        return sorted(found.items(), key=lambda item: (item[0] != UNUSABLE, -len(item[1])))

    def lines(self, every: bool = False) -> list[str]:
        """The account as text.

        Args:
            every: all names instead of the first few.
        """
        lines = [self._counts() + ":" * bool(self.left_out)] if self._counts() else []
        for reason, left in self._by_reason():
            head = f"  {len(left)} {reason}"
            if reason == SUFFIX:
                lines += _of_suffixes(head, left, every)
            elif details := {name: detail for name, detail in left.items() if detail}:
                lines += [f"{head}:", *_below(_problems(details, every))]
            else:
                lines.append(_listed(head, list(left), every))
        summaries = [f"  {line}" for line in self.summaries()]
        return lines + (["changes by the reader:", *summaries] if summaries else []) + self._warning_lines(every)

    def _warning_lines(self, every: bool) -> list[str]:
        lines = []
        for remark in self.warnings:
            lines.append(_listed(f"warning: {remark.text}", remark.names, every))
            lines += [f"  Fix: {remark.fix}"] if remark.fix else []
        return lines

    def _each(self) -> Iterator[tuple[str, Change]]:
        for name, changes in self.changes.items():
            for change in changes:
                yield name, change

    def summaries(self) -> Iterator[str]:
        """One line for each kind of change that is no warning."""
        found: dict[str, list[tuple[str, Change]]] = {}
        for name, change in self._each():
            if not change.fix:
                found.setdefault(change.what, []).append((name, change))
        for what, cases in found.items():
            line = f"{counted(len(cases), 'signal')} {what}"
            amounts = [(change.amount, name) for name, change in cases if change.amount is not None]
            if amounts:
                middle, (most, where) = statistics.median(amount for amount, _ in amounts), max(amounts)
                line += f": {_amount(middle, cases[0][1].unit)}"
                line += f" (median), up to {_amount(most)} ({printable(where)})" if most != middle else ""
            yield line

    def to_dict(self) -> dict[str, Any]:
        """As JSON values, with every name."""
        return {
            "taken": dict(Counter(self.taken.values())),
            "left_out": {name: asdict(left) for name, left in self.left_out.items()},
            "warnings": [asdict(remark) for remark in self.warnings],
            "changes": {name: [as_json(change) for change in changes] for name, changes in self.changes.items()},
        }

    def _key(self, location: Path, name: str) -> str:
        """The name of a file; with its location if it is not the first one."""
        if location not in self._places:
            self._places.append(location)
        return name if location == self._places[0] else f"{location}/{name}"


def as_json(change: Change) -> dict[str, Any]:
    """A change without its empty fields."""
    return {key: value for key, value in asdict(change).items() if value not in (None, "", {})}


def changes_from(values: Sequence[Mapping[str, Any]] | None) -> tuple[Change, ...]:
    """Changes from their JSON values."""
    return tuple(Change(**each) for each in values or ())


_OPEN: ContextVar[Account | None] = ContextVar("account", default=None)


def account() -> Account:
    """The account that is open; otherwise one that nobody reads."""
    found = _OPEN.get()
    return Account() if found is None else found


def data_warning(text: str, names: Iterable[str] = (), fix: str = "") -> None:
    """Warn about the data: in the account that is open, or else in the log.

    Args:
        text: the warning.
        names: files or signals that it concerns.
        fix: what to do about it.

    Example:
        >>> with accounting() as opened:
        ...     data_warning("views that show nothing", ["car/3.png"], "leave them out")
        >>> opened.lines()
        ['warning: views that show nothing: car/3.png', '  Fix: leave them out']
    """
    if (found := _OPEN.get()) is not None:
        found.remark(text, names, fix)
    else:
        log.warning("%s", Remark(text, tuple(names), fix).sentence())


def is_open() -> bool:
    """Whether an account is open, which replaces the log."""
    return _OPEN.get() is not None


@contextmanager
def accounting() -> Iterator[Account]:
    """Open an account for the sources that load in the block; inside another such block, it is that of the block."""
    found = _OPEN.get()
    if found is not None:
        yield found
        return
    token = _OPEN.set(Account())
    try:
        yield account()
    finally:
        _OPEN.reset(token)


def _suffix(name: str) -> str:
    return PurePosixPath(name).suffix.lower()


def _of_suffixes(head: str, names: Iterable[str], every: bool) -> list[str]:
    """Files by suffix, the most frequent first; those whose suffix no other file has are on one line."""
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(_suffix(name), []).append(name)
    single = [name for mine in found.values() if len(mine) == 1 for name in mine]
    if len(single) == len(found):
        return [_listed(head, single, every, KINDS)]
    several = sorted((item for item in found.items() if len(item[1]) > 1), key=lambda item: -len(item[1]))
    lines = [_listed(f"{len(mine)} {suffix or 'without a suffix'}", mine, every) for suffix, mine in several]
    return [f"{head}:", *_below(lines + ([_listed("others", single, every, KINDS)] if single else []))]


def _problems(details: Mapping[str, str], every: bool) -> list[str]:
    """Sentences about files, by name; of those that are equal but for names and figures, only the first one."""
    if every:
        return [detail for _, detail in sorted(details.items())]
    alike: dict[str, list[str]] = {}
    for name, detail in sorted(details.items()):
        alike.setdefault(_FIGURE.sub("#", detail.replace(name, "")), []).append(name)
    lines = [details[first] + (f"; likewise {_names(others)}" if others else "") for first, *others in alike.values()]
    hidden = sum(len(each) for each in list(alike.values())[KINDS:])
    more = [f"and {hidden} more; --all lists them"] if hidden else []
    return lines[:KINDS] + more


def _listed(head: str, names: Sequence[str], every: bool, most: int = SHOWN) -> str:
    """A head with names behind it, all or the first ones."""
    return f"{head}: {_names(names, len(names) if every else most)}" if names else head


def _names(names: Sequence[str], most: int = SHOWN) -> str:
    more = [f"and {len(names) - most} more"] if len(names) > most else []
    return ", ".join([*map(printable, names[:most]), *more])


def _below(lines: Iterable[str]) -> list[str]:
    return [f"     {printable(line)}" for line in lines]


def _amount(value: float, unit: str = "") -> str:
    """An amount with three digits, or those before the point."""
    return f"{value:.0f} {unit}".rstrip() if 100 <= abs(value) < 1e6 else f"{value:.3g} {unit}".rstrip()
