"""The plugin registry: installed plugins, and domains that the program registers."""

from __future__ import annotations

import shlex

from ddmi_core.api.domain import API_VERSION, Domain, accepted_versions
from ddmi_core.errors import PluginError, unknown_name
from ddmi_core.registry.consent import give_consent
from ddmi_core.registry.discovery import discover
from ddmi_core.registry.hints import hint
from ddmi_core.registry.loader import Loaded, described, load
from ddmi_core.registry.records import EXTENSIONS, PluginRecord, Status
from ddmi_core.registry.single_file import FileDomain, is_file, load_file

_REGISTERED: dict[str, Loaded] = {}
_FILES: dict[str, FileDomain] = {}  # those of _REGISTERED that come from files


def register(domain: Domain) -> None:
    """Register a domain in this process, for programs, notebooks and commands that they call.

    Registering a name again replaces the earlier registration; `DDMI_PLUGINS` has no effect on it.

    Raises:
        PluginError: if it is not a `Domain`, has a name that is taken, or another API version.
    """
    if not isinstance(domain, Domain):
        raise PluginError(f"register takes a ddmi_core.Domain; got a {type(domain).__name__}")
    _add(domain)
    _FILES.pop(domain.name, None)


def unregister(name: str) -> None:
    """Remove a domain that this program registered; an unknown name is ignored."""
    _REGISTERED.pop(name, None)
    _FILES.pop(name, None)


def file_domain(name: str) -> FileDomain | None:
    """The file that a registered domain comes from; `None` for other domains."""
    return _FILES.get(name)


def _add(domain: Domain, file: str = "") -> Loaded:
    """Register a domain, with the path of the file that it comes from."""
    if domain.api_version not in accepted_versions():
        raise PluginError(
            f"domain {domain.name!r} was written for API version {domain.api_version}; this ddmi has {API_VERSION}"
        )
    for record in discover():
        if record.name == domain.name and record.status is not Status.DISABLED:
            raise PluginError(f"the name {domain.name!r} is taken by {record.origin}; choose another name")
    _REGISTERED[domain.name] = found = Loaded(described(PluginRecord(name=domain.name, file=file), domain), domain)
    return found


def _add_file(plugin: str) -> Loaded:
    """Register the domain of a file. Giving the file is consent to run its code, in later commands as well."""
    found = load_file(plugin)
    give_consent(found.path, found.source)
    loaded = _add(found.domain, str(found.path))
    _FILES[found.domain.name] = found
    return loaded


def listed() -> tuple[PluginRecord, ...]:
    """All plugins by name, from metadata only: neither plugins nor torch are imported."""
    own = [found.record for found in _REGISTERED.values()]
    return tuple(sorted([*discover(), *own], key=lambda record: (record.name, record.distribution)))


def provider(name: str) -> PluginRecord | None:
    """The record that `domain_named` uses for a name, from metadata only; `None` if no plugin has the name."""
    if name in _REGISTERED:
        return _REGISTERED[name].record
    same = [record for record in discover() if record.name == name]
    return next((record for record in same if record.status is not Status.DISABLED), same[0] if same else None)


def listed_extensions() -> tuple[PluginRecord, ...]:
    """All extensions by name, from metadata only."""
    return discover(EXTENSIONS)


def argument(name: str) -> str:
    """The value of `--plugin` that selects a domain, for commands in messages: its name, or the path of its file."""
    return shlex.quote(_FILES[name].argument) if name in _FILES else name


def loaded(plugin: str) -> Loaded:
    """Load the plugin with a name: a ready domain, or a record with the reason.

    Args:
        plugin: a name, or a file with a domain, `./mine.py` or `./mine.py:NAME`, which is registered.

    Raises:
        PluginError: if no plugin has the name, or the file cannot be used.
    """
    if is_file(plugin):
        return _add_file(plugin)
    record = provider(plugin)
    if record is None:
        known = {record.name for record in listed() if record.usable}
        raise PluginError(unknown_name("plugin", plugin, known) + hint(plugin))
    return _REGISTERED[plugin] if plugin in _REGISTERED else load(record)


def domain_named(name: str) -> Domain:
    """The domain with a name, or of a file (see `loaded`); imports only that plugin.

    Raises:
        PluginError: if there is none (with the nearest name), or if it cannot be used (with reason and fix).
    """
    result = loaded(name)
    if result.domain is None:
        raise PluginError(result.record.sentence) from result.error
    return result.domain
