"""The plugin of a run: what `run.toml` records about it, and the domain that it provides when the run is used."""

from __future__ import annotations

import os
import shlex
import warnings
from pathlib import Path

from ddmi_core.api.domain import Domain
from ddmi_core.atomic import write_error, written_aside
from ddmi_core.errors import CheckpointError, DdmiWarning, PluginError, nearest
from ddmi_core.model.run_folder import RunFolder, RunHead, read_head, sealed
from ddmi_core.registry.consent import has_consent
from ddmi_core.registry.records import PluginRecord
from ddmi_core.registry.registry import domain_named, file_domain, listed, provider
from ddmi_core.registry.single_file import digest, load_path


def recorded(domain: Domain, folder: RunFolder) -> dict[str, str | int]:
    """Distribution, version and API version of a domain's plugin, for the table `[run]`.

    The distribution is empty for a domain that the program registered or passed as an object. A domain from a file also
    has the path of the file, relative to the run folder, and its digest.
    """
    record = provider(domain.name) or PluginRecord(name=domain.name)
    found: dict[str, str | int] = {
        "distribution": record.distribution,
        "version": record.version,
        "api_version": domain.api_version,
    }
    if file := file_domain(domain.name):
        found |= {"file": os.path.relpath(file.path, folder.path.resolve()), "sha256": file.sha256}
    return found


def keep_file(domain: Domain, folder: RunFolder) -> None:
    """Copy the file that a domain comes from into the run folder.

    If a resumed run has a copy of another version, that is kept as `plugin-DIGEST.py`, and `run.toml` gets the new
    digest.

    Raises:
        OutputError: if the folder cannot be written.
    """
    file, head = file_domain(domain.name), read_head(folder)
    if file is None or not head.file:
        return
    try:
        if folder.plugin.exists() and (old := digest(folder.plugin.read_bytes())) != file.sha256:
            folder.plugin.rename(folder.plugin.with_name(f"plugin-{old[:12]}.py"))
        if not folder.plugin.exists():
            with written_aside(folder.plugin) as aside:
                aside.write_bytes(file.source)
        if head.sha256 != file.sha256:
            text = folder.toml.read_text(encoding="utf-8")
            with written_aside(folder.toml) as aside:
                aside.write_text(sealed(text.replace(head.sha256, file.sha256)), encoding="utf-8")
    except OSError as error:
        raise write_error(folder.path, error) from error


def domain_of(folder: RunFolder, plugin: str = "") -> Domain:
    """The domain of a run; imports only its plugin, and warns if that is not compatible with the run's plugin.

    A run with a domain from a file uses its own copy of the file, if the user has given a file with these contents
    before: the code of a run from elsewhere is not executed without consent.

    Args:
        folder: the run.
        plugin: a file, `./mine.py`, to use instead of the copy.

    Raises:
        CheckpointError: if the folder is no run, is damaged, comes from a newer version, or is a run of another domain
            than the file's.
        PluginError: if the plugin is not installed (with the command that installs it), or cannot be used.
    """
    head = read_head(folder)
    if plugin:
        domain = domain_named(plugin)
        if domain.name != head.plugin:
            raise CheckpointError(f"{folder.path} is a run of plugin {head.plugin!r}, not of {domain.name!r}")
    else:
        record, file = provider(head.plugin), file_domain(head.plugin)
        if head.file and (record is None or (file and file.sha256 != head.sha256)):
            return _own_file(folder, head)
        if record is None:
            raise PluginError(_missing(folder, head))
        domain = domain_named(head.plugin)
    if difference := _difference(head, domain):
        warnings.warn(f"{folder.path} was made with {difference}", DdmiWarning, stacklevel=1)
    return domain


def _own_file(folder: RunFolder, head: RunHead) -> Domain:
    """The domain of the copy of a file in a run folder, which is not registered."""
    original = folder.path / head.file
    made = f"{folder.path} was made with the file {original.name}"
    if not folder.plugin.is_file():
        raise PluginError(
            f"{made} and has no copy of it. Fix: add --plugin with the path of this file, such as "
            f"--plugin {shlex.quote(f'./{original.name}')} (in a program: plugin=)"
        )
    source = folder.plugin.read_bytes()
    if not has_consent(source):
        raise PluginError(
            f"{made}. Its copy {folder.plugin} is code that you have not run before. Fix: if you trust it, add "
            f"--trust, or --plugin {shlex.quote(str(folder.plugin))} (in a program: plugin=)"
        )
    if original.is_file() and original.read_bytes() != source:
        warnings.warn(
            f"{original.name} has changed since {folder.path} was made; its own copy {folder.plugin} is used. "
            f"To use the changed file: --plugin {shlex.quote(os.path.relpath(original))}",
            DdmiWarning,
            stacklevel=1,
        )
    return load_path(str(folder.plugin), head.plugin).domain


def _missing(folder: RunFolder, head: RunHead) -> str:
    """Message for a plugin that is not installed: which one the run needs, and how to get it."""
    if head.distribution:
        return (
            f"{folder.path} needs plugin {head.plugin!r} of {head.distribution} {head.version}".rstrip()
            + f", which is not installed. Fix: pip install {head.requirement}"
        )
    if head.distribution == "":
        return (
            f"{folder.path} needs domain {head.plugin!r}, which the program that made the run registered. "
            "Fix: add --plugin ./FILE.py if one file defines the domain; or use the run in a program that calls "
            "ddmi_core.register with that domain; or make the domain a plugin and install it"
        )
    usable = [record.name for record in listed() if record.usable]
    return (
        f"{folder.path} needs plugin {head.plugin!r}, which is not installed{nearest(head.plugin, usable)} "
        f"The run does not record its distribution. Installed: {', '.join(usable) or 'none'}. "
        "Fix: install the distribution that provides it"
    )


def _difference(head: RunHead, domain: Domain) -> str:
    """What distinguishes the run's plugin from the one that is used; empty if they are compatible or it is unknown."""
    record, file = provider(domain.name), file_domain(domain.name)
    if head.distribution is None or record is None:
        return ""
    if head.file and file and head.sha256 != file.sha256:
        return f"another version of {file.path.name}; the given one is used. To use the run's own, omit --plugin"
    if head.distribution and not record.distribution:
        used = f"this is {record.origin}" if file else "this program registered another domain"
        return f"plugin {head.plugin!r} of {head.distribution} {head.version}; {used}"
    if record.distribution and head.distribution != record.distribution:
        program = f"the file {Path(head.file).name}" if head.file else "a domain that a program registered"
        source = f"{head.distribution} {head.version}" if head.distribution else program
        return f"{source}; the installed plugin {head.plugin!r} comes from {record.distribution} {record.version}" + (
            f". To get the run's own: pip install {head.requirement}" if head.distribution else ""
        )
    if _series(head.version) != _series(record.version):
        return (
            f"{head.distribution} {head.version}, and {record.version} is installed, which may draw other samples. "
            f"To get the run's own: pip install {head.requirement}"
        )
    if head.api_version not in (None, domain.api_version):
        return (
            f"API version {head.api_version} of plugin {head.plugin!r}; the installed plugin has {domain.api_version}"
        )
    return ""


def _series(version: str) -> tuple[str, ...]:
    """The part of a version that changes with incompatible changes: the major one; before 1.0 the minor one as well."""
    major, _, rest = version.partition(".")
    return (major, rest.partition(".")[0]) if major == "0" else (major,)
