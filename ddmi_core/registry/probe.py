"""Checks of installed plugins, each loaded in a separate process with a time limit."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import attrs

from ddmi_core.registry.loader import report_fix
from ddmi_core.registry.records import PluginRecord, Status
from ddmi_core.registry.registry import listed, loaded

_MARK = "\x1eddmi-plugin "


def checked(timeout: float = 30.0) -> tuple[PluginRecord, ...]:
    """All plugins; those with the status `found` are loaded, and become ready, broken or incompatible.

    Args:
        timeout: seconds allowed for each.
    """

    def check(record: PluginRecord) -> PluginRecord:
        return _check(record, timeout) if record.status is Status.FOUND else record

    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        return tuple(pool.map(check, listed()))


def _check(record: PluginRecord, timeout: float) -> PluginRecord:

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
        return attrs.evolve(record, status=Status.BROKEN, reason=reason, fix=report_fix(record))
    marked = [line for line in child.stdout.decode(errors="replace").split("\n") if line.startswith(_MARK)]
    if not marked:
        reason = f"loading it ended the process with status {child.returncode}"
        return attrs.evolve(record, status=Status.BROKEN, reason=reason, fix=report_fix(record))
    found = json.loads(marked[-1].removeprefix(_MARK))
    return PluginRecord(**{**found, "status": Status(found["status"]), "axes": tuple(found["axes"])})


def _main(name: str) -> None:
    """Load one plugin and print its record; the plugin's own output goes to standard error."""
    with contextlib.redirect_stdout(sys.stderr):
        record = loaded(name).record
    sys.stdout.write(f"\n{_MARK}{json.dumps(attrs.asdict(record))}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    _main(sys.argv[1])
