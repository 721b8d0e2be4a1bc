"""The plugin of a run: what `run.toml` records about it, and the domain that it provides when the run is used."""

from __future__ import annotations

import warnings

from ddmi_core.api.domain import Domain
from ddmi_core.errors import DdmiWarning, PluginError, nearest
from ddmi_core.model.run_folder import RunFolder, RunHead, read_head
from ddmi_core.registry.records import PluginRecord
from ddmi_core.registry.registry import domain_named, listed, provider


def recorded(domain: Domain) -> dict[str, str | int]:
    """Distribution, version and API version of a domain's plugin, for the table `[run]`.

    The distribution is empty for a domain that the program registered or passed as an object.
    """
    record = provider(domain.name) or PluginRecord(name=domain.name)
    return {"distribution": record.distribution, "version": record.version, "api_version": domain.api_version}


def domain_of(folder: RunFolder) -> Domain:
    """The domain of a run; imports only its plugin, and warns if that is not compatible with the run's plugin.

    Raises:
        CheckpointError: if the folder is no run, is damaged, or comes from a newer version.
        PluginError: if the plugin is not installed (with the command that installs it), or cannot be used.
    """
    head = read_head(folder)
    record = provider(head.plugin)
    if record is None:
        raise PluginError(_missing(folder, head))
    domain = domain_named(head.plugin)
    if difference := _difference(head, record, domain.api_version):
        warnings.warn(f"{folder.path} was made with {difference}", DdmiWarning, stacklevel=2)
    return domain


def _missing(folder: RunFolder, head: RunHead) -> str:
    """Message for a plugin that is not installed: which one the run needs, and how to get it."""
    if head.distribution:
        pinned = f"=={head.version}" if head.version else ""
        return (
            f"{folder.path} needs plugin {head.plugin!r} of {head.distribution} {head.version}".rstrip()
            + f", which is not installed. Fix: pip install {head.distribution}{pinned}"
        )
    if head.distribution == "":
        return (
            f"{folder.path} needs domain {head.plugin!r}, which the program that made the run registered. "
            "Fix: call ddmi_core.register with that domain in a program, and use the run there with ddmi_core.load; "
            "or make the domain a plugin and install it"
        )
    usable = [record.name for record in listed() if record.usable]
    return (
        f"{folder.path} needs plugin {head.plugin!r}, which is not installed{nearest(head.plugin, usable)} "
        f"The run does not record its distribution. Installed: {', '.join(usable) or 'none'}. "
        "Fix: install the distribution that provides it"
    )


def _difference(head: RunHead, record: PluginRecord, api_version: int) -> str:
    """What distinguishes the run's plugin from the installed one; empty if they are compatible or it is unknown."""
    if head.distribution is None:
        return ""
    if head.distribution and not record.distribution:
        return f"plugin {head.plugin!r} of {head.distribution} {head.version}; this program registered another domain"
    if record.distribution and head.distribution != record.distribution:
        source = f"{head.distribution} {head.version}" if head.distribution else "a domain that a program registered"
        return f"{source}; the installed plugin {head.plugin!r} comes from {record.distribution} {record.version}" + (
            f". To get the run's own: pip install {head.distribution}=={head.version}" if head.distribution else ""
        )
    if _series(head.version) != _series(record.version):
        return (
            f"{head.distribution} {head.version}, and {record.version} is installed, which may draw other samples. "
            f"To get the run's own: pip install {head.distribution}=={head.version}"
        )
    if head.api_version not in (None, api_version):
        return f"API version {head.api_version} of plugin {head.plugin!r}; the installed plugin has {api_version}"
    return ""


def _series(version: str) -> tuple[str, ...]:
    """The part of a version that changes with incompatible changes: the major one; before 1.0 the minor one as well."""
    major, _, rest = version.partition(".")
    return (major, rest.partition(".")[0]) if major == "0" else (major,)
