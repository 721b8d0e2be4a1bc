"""The plugin registry: installed plugins, and domains that the program registers."""

from __future__ import annotations

from ddmi_core.api.domain import API_VERSION, Domain, accepted_versions
from ddmi_core.errors import PluginError, unknown_name
from ddmi_core.registry.discovery import discover
from ddmi_core.registry.loader import Loaded, described, load
from ddmi_core.registry.records import PluginRecord, Status

_REGISTERED: dict[str, Domain] = {}


def register(domain: Domain) -> None:
    """Register a domain in this process, for notebooks and embedding.

    Registering a name again replaces the earlier registration; `DDMI_PLUGINS` has no effect on it.

    Raises:
        PluginError: if it is not a `Domain`, has a name that is taken, or another API version.
    """
    if not isinstance(domain, Domain):
        raise PluginError(f"register takes a ddmi_core.Domain; got a {type(domain).__name__}")
    if domain.api_version not in accepted_versions():
        raise PluginError(
            f"domain {domain.name!r} was written for API version {domain.api_version}; this ddmi has {API_VERSION}"
        )
    for record in discover():
        if record.name == domain.name and record.status is not Status.DISABLED:
            raise PluginError(f"the name {domain.name!r} is taken by {record.origin}; choose another name")
    _REGISTERED[domain.name] = domain


def unregister(name: str) -> None:
    """Remove a domain that this program registered; an unknown name is ignored."""
    _REGISTERED.pop(name, None)


def listed() -> tuple[PluginRecord, ...]:
    """All plugins by name, from metadata only: neither plugins nor torch are imported."""
    own = [described(PluginRecord(name=name), domain) for name, domain in _REGISTERED.items()]
    return tuple(sorted([*discover(), *own], key=lambda record: (record.name, record.distribution)))


def provider(name: str) -> PluginRecord | None:
    """The record that `domain_named` uses for a name, from metadata only; `None` if no plugin has the name."""
    if name in _REGISTERED:
        return described(PluginRecord(name=name), _REGISTERED[name])
    same = [record for record in discover() if record.name == name]
    return next((record for record in same if record.status is not Status.DISABLED), same[0] if same else None)


def loaded(name: str) -> Loaded:
    """Load the plugin with a name: a ready domain, or a record with the reason.

    Raises:
        PluginError: if no plugin has the name.
    """
    record = provider(name)
    if record is None:
        raise PluginError(unknown_name("plugin", name, {record.name for record in listed() if record.usable}))
    return Loaded(record, _REGISTERED[name]) if name in _REGISTERED else load(record)


def domain_named(name: str) -> Domain:
    """The domain with a name; imports only that plugin.

    Raises:
        PluginError: if there is none (with the nearest name), or if it cannot be used (with reason and fix).
    """
    result = loaded(name)
    if result.domain is None:
        record = result.record
        raise PluginError(
            f"plugin {name!r} from {record.origin} is {record.status}: {record.reason}. Fix: {record.fix}"
        ) from result.error
    return result.domain
