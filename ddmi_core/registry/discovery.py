"""Discovery of installed plugins from distribution metadata, without importing them."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator
from importlib.metadata import Distribution, EntryPoint, distributions

import attrs

from ddmi_core.errors import nearest
from ddmi_core.registry.records import DOMAINS, EXTENSIONS, PluginRecord, Status

VARIABLE = "DDMI_PLUGINS"


def discover(group: str = DOMAINS) -> tuple[PluginRecord, ...]:
    """Records of all installed plugins of a group by name: found, clash, disabled, or broken metadata."""
    records = sorted(_with_disabled(_installed(group)), key=lambda record: (record.name, record.distribution))
    counts = Counter(record.name for record in records if record.status is not Status.DISABLED)
    return tuple(
        _clash(record, records) if counts[record.name] > 1 and record.status is Status.FOUND else record
        for record in records
    )


def unknown_listed() -> str:
    """A sentence about names in `DDMI_PLUGINS` that no installed plugin or extension has; empty if there are none."""
    known = {record.name for group in (DOMAINS, EXTENSIONS) for record in _installed(group)}
    listed = {name.strip() for name in os.environ.get(VARIABLE, "").split(",")} - {""}
    faults = [f"{name!r}{nearest(name, known).rstrip('.?')}" for name in sorted(listed - known)]
    if not faults:
        return ""
    return (
        f"the environment variable {VARIABLE} names what is not installed: {'; '.join(faults)}. "
        f"Installed: {', '.join(sorted(known)) or 'none'}. Fix: correct or unset it"
    )


def entry_point(record: PluginRecord) -> EntryPoint:
    """The entry point of a record."""
    return EntryPoint(name=record.name, value=record.entry_point, group=record.group)


def _installed(group: str) -> Iterator[PluginRecord]:
    """One record per entry point; of two copies of a distribution, the first on the path."""
    seen = set()
    for distribution in distributions():
        try:
            text = distribution.read_text("entry_points.txt") or ""
        except (OSError, UnicodeDecodeError):
            continue
        if group not in text:
            continue
        name, version = _identity(distribution)
        normalised = re.sub(r"[-_.]+", "-", name).lower()
        if normalised in seen:
            continue
        seen.add(normalised)
        try:
            points = [point for point in distribution.entry_points if point.group == group]
        except Exception as error:
            yield PluginRecord(
                name=name,
                distribution=name,
                version=version,
                status=Status.BROKEN,
                reason=f"its entry_points.txt cannot be read: {error}",
                fix=f"reinstall it: pip install --force-reinstall {name}",
                group=group,
            )
            continue
        for point in points:
            yield PluginRecord(
                name=point.name, distribution=name, version=version, entry_point=point.value, group=group
            )


def _identity(distribution: Distribution) -> tuple[str, str]:
    """Name and version; placeholders if the metadata are damaged."""
    try:
        metadata = distribution.metadata
        return metadata["Name"] or "unnamed", metadata["Version"] or "unknown"
    except Exception:
        return "unnamed", "unknown"


def _with_disabled(records: Iterator[PluginRecord]) -> Iterator[PluginRecord]:
    """The records, with the status `disabled` for plugins that `DDMI_PLUGINS` excludes."""
    listed = os.environ.get(VARIABLE)
    kept = None if listed is None else {name.strip() for name in listed.split(",")}
    for record in records:
        if kept is None or record.name in kept:
            yield record
        elif listed:
            reason, fix = (
                f"{VARIABLE}={listed} excludes it",
                f"add {record.name} to {VARIABLE}, or unset it",
            )
            yield attrs.evolve(record, status=Status.DISABLED, reason=reason, fix=fix)
        else:
            reason, fix = "plugins are disabled", f"unset {VARIABLE}, or omit --no-plugins"
            yield attrs.evolve(record, status=Status.DISABLED, reason=reason, fix=fix)


def _clash(record: PluginRecord, records: list[PluginRecord]) -> PluginRecord:
    """The record with the status `clash`; the reason names the other plugins with its name."""
    same = [other for other in records if other.name == record.name and other.status is not Status.DISABLED]
    rivals = ", ".join(other.origin for other in same if other is not record)
    choices = " or ".join(f"pip uninstall {name}" for name in sorted({other.distribution for other in same} - {"ddmi"}))
    # Without ddmi itself nothing works.
    return attrs.evolve(
        record,
        status=Status.CLASH,
        reason=f"the name {record.name!r} is also taken by {rivals}",
        fix=f"keep one: {choices}",
    )
