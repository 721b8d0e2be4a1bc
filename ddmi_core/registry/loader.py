"""Loading of one plugin: import, hook call, and conversion of every fault to a status."""

from __future__ import annotations

import inspect
import warnings

import attrs
import pluggy
from attrs import frozen

from ddmi_core.api.domain import Domain, accepted_versions
from ddmi_core.errors import DdmiDeprecationWarning
from ddmi_core.registry import hooks
from ddmi_core.registry.discovery import entry_point
from ddmi_core.registry.limit import ImportTimeout, fix, limited
from ddmi_core.registry.records import PluginRecord, Status


@frozen(eq=False)
class Loaded:
    """Result of loading: a domain if the record is `ready`, otherwise `None` and the exception, if there was one."""

    record: PluginRecord
    domain: Domain | None = None
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
        sentence = f"plugin {record.name!r} is {ready.reason}. Fix: {ready.fix}"
        warnings.warn(sentence, DdmiDeprecationWarning, stacklevel=2)
    return Loaded(ready, domain)


def described(record: PluginRecord, domain: Domain) -> PluginRecord:
    """The record as `ready`, with data from its domain, and a reason if its API version is deprecated."""
    reason = fix = ""
    if domain.api_version != accepted_versions()[-1]:
        reason = f"written for API version {domain.api_version}, which the next API version removes"
        fix = f"pip install --upgrade {record.distribution}" if record.distribution else "see its migration guide"
    return attrs.evolve(
        record,
        reason=reason,
        fix=fix,
        status=Status.READY,
        api_version=domain.api_version,
        axes=domain.layout.axes,
        summary=domain.summary,
        optional=dict(domain.optional),
    )


def _domains(record: PluginRecord) -> list[object]:
    """The objects that the plugin's hook returns."""
    manager = pluggy.PluginManager("ddmi")
    manager.add_hookspecs(hooks)
    try:
        with limited():
            plugin = entry_point(record).load()
    except (Exception, SystemExit, ImportTimeout) as error:
        raise _fault(f"importing {record.entry_point}", record, error) from error
    try:
        manager.register(plugin)
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        raise _Fault(f"its hook has a wrong signature: {error}", "define ddmi_domains without parameters") from error
    except Exception as error:
        raise _Fault(f"it cannot be registered: {_as_text(error)}", report_fix(record)) from error
    if inspect.isclass(plugin) or not manager.hook.ddmi_domains.get_hookimpls():
        raise _Fault(
            f"{record.entry_point} has no hook ddmi_domains",
            "define ddmi_domains() there and mark it with ddmi_core.api.hookimpl",
        )
    try:
        with limited():
            return [domain for domains in manager.hook.ddmi_domains() for domain in domains]
    except (Exception, SystemExit, ImportTimeout) as error:
        raise _fault("its hook ddmi_domains", record, error) from error


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
    accepted = accepted_versions()
    if domain.api_version not in accepted:
        old = domain.api_version < accepted[0]
        raise _Fault(
            f"it was written for API version {domain.api_version}; this ddmi accepts "
            + " and ".join(map(str, accepted)),
            f"pip install --upgrade {record.distribution if old else 'ddmi'}",
            Status.INCOMPATIBLE,
        )
    return domain


def _fault(what: str, record: PluginRecord, error: BaseException) -> _Fault:
    """The fault of an exception; a time limit is not a fault of the plugin."""
    if isinstance(error, ImportTimeout):
        return _Fault(f"{what} {str(error).removeprefix('it ')}", slow_fix(record), Status.SLOW)
    return _Fault(f"{what} failed: {_as_text(error)}", _fix_for(record, error))


def _as_text(error: BaseException) -> str:
    """An exception as text."""
    if isinstance(error, SystemExit):
        return f"it called sys.exit({error.code!r})"
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _fix_for(record: PluginRecord, error: BaseException) -> str:
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
    return f"report this to the authors of {record.distribution}, or uninstall it"
