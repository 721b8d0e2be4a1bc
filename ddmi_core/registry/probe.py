"""Checks of installed plugins, each loaded in a separate process with a time limit."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

import attrs

from ddmi_core.registry.limit import SECONDS, ended
from ddmi_core.registry.loader import report_fix, slow_fix
from ddmi_core.registry.records import PluginRecord, Status
from ddmi_core.registry.registry import listed, loaded

_MARK = "\x1eddmi-plugin "


def checked() -> tuple[PluginRecord, ...]:
    """All plugins; those with the status `found` are loaded, and become ready, broken or incompatible.

    Each may take 30 s of CPU time, times `DDMI_TIME_FACTOR`.
    """

    def check(record: PluginRecord) -> PluginRecord:
        return _check(record) if record.status is Status.FOUND else record

    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        return tuple(pool.map(check, listed()))


def _check(record: PluginRecord) -> PluginRecord:
    with tempfile.TemporaryFile() as printed:
        child = subprocess.Popen(
            [sys.executable, "-m", __spec__.name, record.name],
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=subprocess.DEVNULL,
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
    return PluginRecord(**{**found, "status": Status(found["status"]), "axes": tuple(found["axes"])})


def _main(name: str) -> None:
    """Load one plugin and print its record; the plugin's own output goes to standard error."""
    with contextlib.redirect_stdout(sys.stderr):
        record = loaded(name).record
    sys.stdout.write(f"\n{_MARK}{json.dumps(attrs.asdict(record))}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    _main(sys.argv[1])
