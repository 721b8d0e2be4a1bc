"""Checks installed plugins, each loaded in a process of its own with a time limit."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import attrs

from ddmi_core.registry.records import PluginRecord, Status
from ddmi_core.registry.registry import listed, loaded

_MARK = "\x1eddmi-plugin "


def checked(timeout: float = 30.0) -> tuple[PluginRecord, ...]:
    """All plugins, those that are `found` loaded: ready, broken or incompatible.

    Args:
        timeout: seconds that each may take.
    """

    def check(record: PluginRecord) -> PluginRecord:
        return _check(record, timeout) if record.status is Status.FOUND else record

    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        return tuple(pool.map(check, listed()))


def _check(record: PluginRecord, timeout: float) -> PluginRecord:
    report = f"report this to the authors of {record.distribution}, or uninstall it"
    try:
        child = subprocess.run(
            [sys.executable, "-m", __spec__.name, record.name],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        reason = f"loading it took longer than {timeout:g} s"
        return attrs.evolve(record, status=Status.BROKEN, reason=reason, fix=report)
    marked = [line for line in child.stdout.decode(errors="replace").split("\n") if line.startswith(_MARK)]
    if not marked:
        reason = f"loading it ended the process with status {child.returncode}"
        return attrs.evolve(record, status=Status.BROKEN, reason=reason, fix=report)
    found = json.loads(marked[-1].removeprefix(_MARK))
    return PluginRecord(**{**found, "status": Status(found["status"]), "axes": tuple(found["axes"])})


def _main(name: str) -> None:
    """Load one plugin and print its record; what the plugin itself prints goes to standard error."""
    with contextlib.redirect_stdout(sys.stderr):
        record = loaded(name).record
    sys.stdout.write(f"\n{_MARK}{json.dumps(attrs.asdict(record))}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    _main(sys.argv[1])
