"""Lists installed plugins from the metadata of distributions, importing none of them."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator
from importlib.metadata import Distribution, EntryPoint, distributions

import attrs

from ddmi_core.registry.hooks import GROUP
from ddmi_core.registry.records import PluginRecord, Status

VARIABLE = "DDMI_PLUGINS"


def discover() -> tuple[PluginRecord, ...]:
    """Records of all installed plugins by name: found, clash, disabled, or broken metadata."""
    records = sorted(_narrowed(_found()), key=lambda record: (record.name, record.distribution))
    counts = Counter(record.name for record in records if record.status is not Status.DISABLED)
    return tuple(
        _clash(record, records) if counts[record.name] > 1 and record.status is Status.FOUND else record
        for record in records
    )


def entry_point(record: PluginRecord) -> EntryPoint:
    """The entry point that a record stands for."""
    return EntryPoint(name=record.name, value=record.entry_point, group=GROUP)


def _found() -> Iterator[PluginRecord]:
    """One record an entry point; of two copies of a distribution the first on the path counts."""
    seen = set()
    for distribution in distributions():
        try:
            text = distribution.read_text("entry_points.txt") or ""
        except (OSError, UnicodeDecodeError):
            continue
        if GROUP not in text:
            continue
        name, version = _identity(distribution)
        normalised = re.sub(r"[-_.]+", "-", name).lower()
        if normalised in seen:
            continue
        seen.add(normalised)
        try:
            points = [point for point in distribution.entry_points if point.group == GROUP]
        except Exception as error:
            yield PluginRecord(
                name=name,
                distribution=name,
                version=version,
                status=Status.BROKEN,
                reason=f"its entry_points.txt cannot be read: {error}",
                fix=f"reinstall it: pip install --force-reinstall {name}",
            )
            continue
        for point in points:
            yield PluginRecord(name=point.name, distribution=name, version=version, entry_point=point.value)


def _identity(distribution: Distribution) -> tuple[str, str]:
    """Name and version, with words in place of what damaged metadata lack."""
    try:
        metadata = distribution.metadata
        return metadata["Name"] or "unnamed", metadata["Version"] or "unknown"
    except Exception:
        return "unnamed", "unknown"


def _narrowed(records: Iterator[PluginRecord]) -> Iterator[PluginRecord]:
    """Mark as disabled what the environment leaves out."""
    listed = os.environ.get(VARIABLE)
    kept = None if listed is None else {name.strip() for name in listed.split(",")}
    for record in records:
        if kept is None or record.name in kept:
            yield record
        elif listed:
            reason, fix = (
                f"{VARIABLE}={listed} leaves it out",
                f"add {record.name} to {VARIABLE}, or unset it",
            )
            yield attrs.evolve(record, status=Status.DISABLED, reason=reason, fix=fix)
        else:
            reason, fix = "plugins are switched off", f"unset {VARIABLE}, or leave out --no-plugins"
            yield attrs.evolve(record, status=Status.DISABLED, reason=reason, fix=fix)


def _clash(record: PluginRecord, records: list[PluginRecord]) -> PluginRecord:
    """The record with the status clash, naming its rivals."""
    same = [other for other in records if other.name == record.name and other.status is not Status.DISABLED]
    rivals = ", ".join(other.origin for other in same if other is not record)
    choices = " or ".join(f"pip uninstall {name}" for name in sorted({other.distribution for other in same}))
    return attrs.evolve(
        record,
        status=Status.CLASH,
        reason=f"the name {record.name!r} is also taken by {rivals}",
        fix=f"keep one: {choices}",
    )
