"""Checks of installed plugins, each loaded in a separate process with a time limit."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import attrs

from ddmi_core.allowance import cores
from ddmi_core.api.domain import Domain
from ddmi_core.errors import PluginError
from ddmi_core.progress import doing
from ddmi_core.registry.discovery import VARIABLE
from ddmi_core.registry.extensions import Offer, extensions
from ddmi_core.registry.limit import SECONDS, ended
from ddmi_core.registry.loader import fix_for, report_fix, slow_fix
from ddmi_core.registry.records import EXTENSIONS, PluginRecord, Status
from ddmi_core.registry.registry import listed, listed_extensions, loaded

_MARK = "\x1eddmi-plugin "


@doing("loading plugins")
def checked() -> tuple[PluginRecord, ...]:
    """All plugins and extensions; those with the status `found` are loaded, and become ready, broken or incompatible.

    The implementation of a plugin and the parts of an extension are imported as well. An extension with a name that is
    taken becomes a clash.

    Each may take 30 s of CPU time, times `DDMI_TIME_FACTOR`.
    """

    def check(record: PluginRecord) -> PluginRecord:
        alone = record.name if record.group == EXTENSIONS else ""
        return _check(record, alone) if record.status is Status.FOUND else record

    with ThreadPoolExecutor(max_workers=cores()) as pool:
        plugins, apart = pool.map(check, listed()), list(pool.map(check, listed_extensions()))
        # Extensions that load alone are then loaded together, which shows whether their names clash.
        usable = ",".join(record.name for record in apart if record.status is Status.READY)

        def compare(record: PluginRecord) -> PluginRecord:
            return _check(record, usable) if record.status is Status.READY and "," in usable else record

        return (*plugins, *pool.map(compare, apart))


def _check(record: PluginRecord, allowed: str = "") -> PluginRecord:
    """The record after loading in a process of its own, in which `allowed`, if given, is `DDMI_PLUGINS`."""
    with tempfile.TemporaryFile() as printed:
        child = subprocess.Popen(
            [sys.executable, "-m", __spec__.name, record.group, record.name],
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=subprocess.DEVNULL,
            env={**os.environ, VARIABLE: allowed} if allowed else None,
        )
        if late := ended(child, SECONDS):
            return attrs.evolve(record, status=Status.SLOW, reason=f"loading it {late}", fix=slow_fix(record))
        printed.seek(0)
        text = printed.read().decode(errors="replace")
    marked = [line for line in text.split("\n") if line.startswith(_MARK)]
    if not marked:
        reason = f"loading it ended the process with status {child.returncode}"
        return attrs.evolve(record, status=Status.BROKEN, reason=reason, fix=report_fix(record))
    found = json.loads(marked[-1].removeprefix(_MARK))
    provides = {kind: tuple(names) for kind, names in found["provides"].items()}
    lists = {"axes": tuple(found["axes"]), "provides": provides}
    return PluginRecord(**{**found, **lists, "status": Status(found["status"])})


def _implementation(domain: Domain) -> object:
    from ddmi_core.parts.domain_parts import implementation  # imports torch, which the program itself need not

    return implementation(domain)


def _is_required(offer: Offer) -> bool:
    """Whether everything that a part needs has to be installed."""
    return not offer.contribution.requires


def _whole(record: PluginRecord, parts: Sequence[Callable[[], object]]) -> PluginRecord:
    """The record after importing what it refers to; broken if that fails."""
    try:
        for load in parts:
            load()
    except PluginError as error:
        reason, _, fix = str(error).partition(". Fix: ")
        fix = fix or fix_for(record, error.__cause__ or error)
        return attrs.evolve(record, status=Status.BROKEN, reason=reason, fix=fix)
    return record


def _main(group: str, name: str) -> None:
    """Load one plugin or extension and print its record; its own output goes to standard error."""
    with contextlib.redirect_stdout(sys.stderr):
        if group == EXTENSIONS:
            extension = next(extension for extension in extensions() if extension.record.name == name)
            record = _whole(extension.record, [offer.load for offer in extension.offers() if _is_required(offer)])
        else:
            found = loaded(name)
            record = _whole(found.record, [] if found.domain is None else [partial(_implementation, found.domain)])
    sys.stdout.write(f"\n{_MARK}{json.dumps(attrs.asdict(record))}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    _main(*sys.argv[1:])
