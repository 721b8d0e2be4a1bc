"""Parts of the engine by kind and name: the built-in ones, and those of installed extensions."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pkgutil import resolve_name
from typing import Any

import attrs
from attrs import Attribute, frozen

from ddmi_core._version import __version__
from ddmi_core.api.domain import Domain
from ddmi_core.errors import DdmiError, DdmiWarning, PluginError, RequestError, unknown_name
from ddmi_core.registry.discovery import discover
from ddmi_core.registry.loader import LoadedExtension, load_extension, report_fix
from ddmi_core.registry.records import EXTENSIONS, KINDS, Contribution, PluginRecord, Status

BUILT_IN = PluginRecord(
    name="ddmi", distribution="ddmi", version=__version__, entry_point="ddmi_core.registry.builtin", group=EXTENSIONS
)


@frozen
class Offer:
    """One part by its name, which is not imported yet."""

    kind: str  # a key of `KINDS`
    name: str
    contribution: Contribution
    record: PluginRecord

    @property
    def built_in(self) -> bool:
        """Whether it is of the core."""
        return self.record == BUILT_IN

    def load(self) -> Any:
        """Import what the reference names.

        Raises:
            PluginError: if it cannot be imported, or called.
        """
        try:
            found = resolve_name(self.contribution.reference)
        except DdmiError:
            raise
        except (Exception, SystemExit) as error:
            requires = self.contribution.requires
            raise PluginError(
                f"{self} refers to {self.contribution.reference!r}, which cannot be imported: "
                f"{type(error).__name__}: {error}. Fix: "
                + (f"pip install '{requires}'" if requires else report_fix(self.record))
            ) from error
        if not callable(found):
            raise PluginError(
                f"{self} refers to {self.contribution.reference!r}, which is a {type(found).__name__} and cannot be "
                f"called. Fix: {report_fix(self.record)}"
            )
        return found

    def __str__(self) -> str:
        """The part for messages: `sampler 'midpoint' of ddmi-extras 0.1.0 (ddmi_extras.hooks)`."""
        return f"{KINDS[self.kind]} {self.name!r} of {self.record.origin}"


@frozen
class Named:
    """Validator of attrs for the name of a part; loads extensions only for names that are not built in."""

    kind: str

    @property
    def options(self) -> tuple[str, ...]:
        """The built-in names."""
        return names(self.kind)

    def __call__(self, instance: object, attribute: Attribute[Any], value: str) -> None:
        """Check a name.

        Raises:
            RequestError: see `offer`.
        """
        offer(self.kind, value)


def names(kind: str) -> tuple[str, ...]:
    """Names of the built-in parts of a kind; loads no extension."""
    return tuple(name for other, name in _built_in() if other == kind)


def part(kind: str, name: str, domain: Domain | None = None) -> Any:
    """Import the part with a name; see `offer` and `Offer.load`."""
    return offer(kind, name, domain).load()


def offer(kind: str, name: str, domain: Domain | None = None, known: Iterable[str] = ()) -> Offer:
    """The part with a name. Extensions are loaded only if no built-in part has it.

    Warns of each extension that cannot be used, if there is no such part.

    Args:
        kind: a key of `KINDS`.
        name: its name.
        domain: the domain that it has to work for.
        known: further names for the message.

    Raises:
        RequestError: if there is none, or none for this domain.
        PluginError: if several extensions provide it.
    """
    if (own := _built_in().get((kind, name))) is not None:
        return own
    loaded = extensions()
    same = [found for extension in loaded for found in extension.offers() if (found.kind, found.name) == (kind, name)]
    fitting = [found for found in same if domain is None or found.contribution.fits(domain)]
    if len(fitting) > 1:
        origins = " and by ".join(found.record.origin for found in fitting)
        choices = " or ".join(f"pip uninstall {found.record.distribution}" for found in fitting)
        raise PluginError(f"{KINDS[kind]} {name!r} is provided by {origins}. Fix: keep one: {choices}")
    if fitting:
        return fitting[0]
    if same and domain is not None:
        raise RequestError(f"{same[0]} does not work for plugin {domain.name!r}{_filter(same[0].contribution)}")
    every = [found.name for extension in loaded for found in extension.offers() if found.kind == kind]
    unusable = [extension for extension in loaded if not extension.contributions]
    for extension in unusable:
        warnings.warn(extension.record.sentence, DdmiWarning, stacklevel=2)
    message = unknown_name(KINDS[kind], name, {*names(kind), *known, *every})
    raise RequestError(message) from next((extension.error for extension in unusable), None)


def offers(kind: str, domain: Domain | None = None) -> Iterator[Offer]:
    """Yield the parts of a kind: the built-in ones, then those of extensions; names that clash are left out.

    Warns of each extension that cannot be used, or has a name of this kind that is refused.
    """
    yield from (own for (other, _), own in _built_in().items() if other == kind)
    for extension in extensions():
        broken = not extension.contributions and extension.record.status is not Status.DISABLED
        if broken or any(refused == kind for refused, _ in extension.refused):
            warnings.warn(extension.record.sentence, DdmiWarning, stacklevel=2)
        for found in extension.offers():
            refused = (kind, found.name) in extension.refused
            if found.kind == kind and not refused and (domain is None or found.contribution.fits(domain)):
                yield found


@frozen(eq=False)
class Extension:
    """An installed extension.

    Args:
        record: its record; `clash` if some of its names are taken.
        contributions: by kind and name; empty if it cannot be used.
        refused: kinds and names that are taken.
        error: the exception, if loading failed with one.
    """

    record: PluginRecord
    contributions: Mapping[tuple[str, str], Contribution]
    refused: tuple[tuple[str, str], ...] = ()
    error: BaseException | None = None

    def offers(self) -> list[Offer]:
        """All its parts."""
        return [Offer(kind, name, value, self.record) for (kind, name), value in self.contributions.items()]


def extensions() -> tuple[Extension, ...]:
    """All installed extensions, loaded. One that is broken has a record with the reason and the fix."""
    loaded = [load_extension(record) for record in discover(EXTENSIONS)]
    every = [*_built_in().values(), *(found for extension in loaded for found in _offers_of(extension))]
    return tuple(_checked(extension, every) for extension in loaded)


def _offers_of(extension: LoadedExtension) -> list[Offer]:
    return Extension(extension.record, extension.contributions).offers()


def _checked(extension: LoadedExtension, every: list[Offer]) -> Extension:
    """The extension, with the status `clash` if some of its names are taken."""
    record, refused = extension.record, []
    for mine in _offers_of(extension):
        rivals = [
            other.record.origin
            for other in every
            if (other.kind, other.name) == (mine.kind, mine.name)
            and other.record != extension.record
            and other.contribution.overlaps(mine.contribution)
        ]
        if rivals:
            refused.append((mine.kind, mine.name))
            taken = f"its {KINDS[mine.kind]} {mine.name!r} is refused, because the name is also taken by "
            record = attrs.evolve(
                record,
                status=Status.CLASH,
                reason="; ".join(filter(None, (record.reason, taken + ", ".join(rivals)))),
                fix=f"rename it in {record.distribution}, or keep one of the distributions",
            )
    return Extension(record, extension.contributions, tuple(refused), extension.error)


def _filter(contribution: Contribution) -> str:
    """What a contribution works for, as the end of a sentence."""
    domains, axes = ", ".join(contribution.domains), ", ".join(contribution.axes)
    return (f"; it is for {domains}" if domains else "") + (f"; it is for the axes {axes}" if axes else "")


@cache
def _built_in() -> Mapping[tuple[str, str], Offer]:
    """The built-in parts, by kind and name."""
    loaded = load_extension(BUILT_IN)
    if not loaded.record.usable:
        raise PluginError(loaded.record.sentence) from loaded.error
    return {(found.kind, found.name): found for found in _offers_of(loaded)}
