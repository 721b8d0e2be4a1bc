"""Loading of one plugin or extension: import, hook calls, and conversion of every fault to a status."""

from __future__ import annotations

import inspect
import re
import warnings
from collections.abc import Mapping
from typing import Any

import attrs
import pluggy
from attrs import frozen

from ddmi_core.api.domain import Domain, accepted_versions
from ddmi_core.errors import DdmiDeprecationWarning
from ddmi_core.registry import hooks
from ddmi_core.registry.discovery import entry_point
from ddmi_core.registry.limit import ImportTimeout, as_text, fix, limited
from ddmi_core.registry.records import KINDS, Contribution, PluginRecord, Status

VERSION = "api_version"  # the attribute of the module with the hooks of an extension
_NAME = re.compile(r"[a-z][a-z0-9_-]*")
_SUFFIX = re.compile(r"\.[a-z0-9]+")


@frozen(eq=False)
class Loaded:
    """Result of loading: a domain if the record is `ready`, otherwise `None` and the exception, if there was one."""

    record: PluginRecord
    domain: Domain | None = None
    error: BaseException | None = None


@frozen(eq=False)
class LoadedExtension:
    """Result of loading an extension: its contributions by kind and name if the record is `ready`."""

    record: PluginRecord
    contributions: Mapping[tuple[str, str], Contribution] = {}
    error: BaseException | None = None


class _Fault(Exception):  # noqa: N818 - carries a record's reason and fix
    """A violation of the plugin contract."""

    def __init__(self, reason: str, fix: str, status: Status = Status.BROKEN) -> None:
        super().__init__(reason)
        self.reason, self.fix, self.status = reason, fix, status


def load(record: PluginRecord) -> Loaded:
    """Import the plugin of a record with the status `found`, and select the domain with its name.

    Exceptions of the plugin, `SystemExit` included, become a status and are not raised.
    """
    if record.status is not Status.FOUND:
        return Loaded(record)
    try:
        domain = _select(record, _domains(record))
    except _Fault as fault:
        broken = attrs.evolve(record, status=fault.status, reason=fault.reason, fix=fault.fix)
        return Loaded(broken, error=fault.__cause__)
    ready = described(record, domain)
    if ready.reason:
        warnings.warn(ready.sentence, DdmiDeprecationWarning, stacklevel=2)
    return Loaded(ready, domain)


def described(record: PluginRecord, domain: Domain) -> PluginRecord:
    """The record as `ready`, with data from its domain, and a reason if its API version is deprecated."""
    return attrs.evolve(
        _ready(record, domain.api_version),
        axes=domain.layout.axes,
        summary=domain.summary,
        optional=dict(domain.optional),
    )


def _ready(record: PluginRecord, version: int) -> PluginRecord:
    """The record as `ready`, with a reason if its API version is deprecated."""
    reason = repair = ""
    if version != accepted_versions()[-1]:
        reason = f"written for API version {version}, which the next API version removes"
        repair = f"pip install --upgrade {record.distribution}" if record.distribution else "see its migration guide"
    return attrs.evolve(record, status=Status.READY, api_version=version, reason=reason, fix=repair)


def load_extension(record: PluginRecord) -> LoadedExtension:
    """Import the module with the hooks of an extension, whose record has the status `found`, and call them.

    Exceptions of the extension, `SystemExit` included, become a status and are not raised.
    """
    if record.status is not Status.FOUND:
        return LoadedExtension(record)
    try:
        plugin = _imported(record)
        version = getattr(plugin, VERSION, None)
        if not isinstance(version, int):
            raise _Fault(
                f"{record.entry_point} has no {VERSION}", f"state there for which API it was written: {VERSION} = 1"
            )
        _check_version(record, version)  # first, because a later version may have other hooks
        manager = _registered(record, plugin)
        found = {
            (kind, name): contribution
            for kind in KINDS
            for given in _answers(record, manager, f"ddmi_{kind}")
            for name, contribution in _contributions(kind, given).items()
        }
        if not found:
            raise _Fault(
                f"{record.entry_point} provides nothing",
                "define a hook such as ddmi_samplers there and mark it with ddmi_core.api.hookimpl",
            )
    except _Fault as fault:
        broken = attrs.evolve(record, status=fault.status, reason=fault.reason, fix=fault.fix)
        return LoadedExtension(broken, error=fault.__cause__)
    provides = {kind: tuple(name for other, name in found if other == kind) for kind in KINDS}
    provides = {kind: names for kind, names in provides.items() if names}
    ready = attrs.evolve(_ready(record, version), provides=provides)
    if ready.reason:
        warnings.warn(ready.sentence, DdmiDeprecationWarning, stacklevel=2)
    return LoadedExtension(ready, found)


def _contributions(kind: str, given: object) -> dict[str, Contribution]:
    """What one hook returns, checked."""
    hook, valid = f"ddmi_{kind}", _SUFFIX if kind == "exporters" else _NAME
    if not isinstance(given, Mapping):
        raise _Fault(f"its hook {hook} returns a {type(given).__name__}", "return names with references, as a dict")
    for name in given:
        if not isinstance(name, str) or not valid.fullmatch(name):
            form = "a suffix such as '.npy'" if kind == "exporters" else "lower-case letters, digits, - and _"
            raise _Fault(f"its hook {hook} returns the name {name!r}", f"use {form}")
    try:
        return {name: x if isinstance(x, Contribution) else Contribution(x) for name, x in given.items()}
    except (TypeError, ValueError) as error:
        raise _Fault(
            f"its hook {hook} returns a value that is not a reference: {error.args[0]}",
            "return 'package.module:attribute' or a ddmi_core.api.Contribution for each name",
        ) from error


def _domains(record: PluginRecord) -> list[object]:
    """The objects that the plugin's hook returns."""
    manager = _registered(record, _imported(record))
    if not manager.hook.ddmi_domains.get_hookimpls():
        raise _Fault(
            f"{record.entry_point} has no hook ddmi_domains",
            "define ddmi_domains() there and mark it with ddmi_core.api.hookimpl",
        )
    try:
        return [domain for domains in _answers(record, manager, "ddmi_domains") for domain in domains]
    except TypeError as error:
        raise _Fault(f"its hook ddmi_domains failed: {as_text(error)}", report_fix(record)) from error


def _answers(record: PluginRecord, manager: pluggy.PluginManager, hook: str) -> list[Any]:
    """What the implementations of a hook return."""
    try:
        with limited():
            return list(getattr(manager.hook, hook)())
    except (Exception, SystemExit, ImportTimeout) as error:
        raise _fault(f"its hook {hook}", record, error) from error


def _imported(record: PluginRecord) -> object:
    """The object that an entry point names."""
    try:
        with limited():
            return entry_point(record).load()
    except (Exception, SystemExit, ImportTimeout) as error:
        raise _fault(f"importing {record.entry_point}", record, error) from error


def _registered(record: PluginRecord, plugin: object) -> pluggy.PluginManager:
    """A manager with the hooks of one plugin or extension."""
    manager = pluggy.PluginManager("ddmi")
    manager.add_hookspecs(hooks)
    try:
        manager.register(plugin)
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        repair = "define hooks without parameters, under the names in ddmi_core.registry.hooks"
        raise _Fault(f"its hook has a wrong name or a wrong signature: {error}", repair) from error
    except Exception as error:
        raise _Fault(f"it cannot be registered: {as_text(error)}", report_fix(record)) from error
    if inspect.isclass(plugin):
        raise _Fault(f"{record.entry_point} is a class and has no hooks of its own", "name a module, or an instance")
    return manager


def _select(record: PluginRecord, domains: list[object]) -> Domain:
    """The domain with the entry point's name, if it is usable."""
    for domain in domains:
        if not isinstance(domain, Domain):
            raise _Fault(
                f"its hook ddmi_domains returns a {type(domain).__name__}",
                "return a list of ddmi_core.api.Domain",
            )
    named = [domain for domain in domains if isinstance(domain, Domain) and domain.name == record.name]
    if len(named) != 1:
        names = ", ".join(repr(domain.name) for domain in domains if isinstance(domain, Domain)) or "no domain"
        raise _Fault(
            f"the entry point {record.name!r} provides {names}",
            f"return exactly one domain named {record.name!r}, or rename the entry point",
        )
    domain = named[0]
    _check_version(record, domain.api_version)
    return domain


def _check_version(record: PluginRecord, version: int) -> None:
    """Refuse an API version that this ddmi does not accept."""
    accepted = accepted_versions()
    if version not in accepted:
        raise _Fault(
            f"it was written for API version {version}; this ddmi accepts " + " and ".join(map(str, accepted)),
            f"pip install --upgrade {record.distribution if version < accepted[0] else 'ddmi'}",
            Status.INCOMPATIBLE,
        )


def _fault(what: str, record: PluginRecord, error: BaseException) -> _Fault:
    """The fault of an exception; a time limit is not a fault of the plugin."""
    if isinstance(error, ImportTimeout):
        return _Fault(f"{what} {str(error).removeprefix('it ')}", slow_fix(record), Status.SLOW)
    return _Fault(f"{what} failed: {as_text(error)}", fix_for(record, error))


def fix_for(record: PluginRecord, error: BaseException) -> str:
    """The likely fix for an exception."""
    if isinstance(error, ImportError) and (error.name or "").partition(".")[0] == "ddmi_core":
        return f"it requires another version of ddmi: pip install --upgrade ddmi {record.distribution}"
    if isinstance(error, ModuleNotFoundError) and error.name:
        package = error.name.partition(".")[0]
        if package == record.entry_point.partition(":")[0].partition(".")[0]:
            return f"reinstall it: pip install --force-reinstall {record.distribution}"
        return f"install the missing module {package!r}"
    return report_fix(record)


def slow_fix(record: PluginRecord) -> str:
    """The fix for a plugin that exceeds a time limit."""
    return f"{fix()}; otherwise {report_fix(record)}"


def report_fix(record: PluginRecord) -> str:
    """The fix for faults that only the plugin's authors can correct."""
    if record.distribution == "ddmi":
        return "reinstall it, pip install --force-reinstall ddmi; if that does not help, report this"
    return f"report this to the authors of {record.distribution}, or uninstall it"
