"""Which process of which machine it is, and whether it has ended: for locks, temporary files and processes of a run."""

from __future__ import annotations

import os
import socket
import sys
from contextlib import suppress
from pathlib import Path

from attrs import frozen


@frozen
class ProcessIdentity:
    """A process, told from a later one with the same number.

    Args:
        host: name of its machine.
        machine: start of the system and space of process numbers; empty where the system does not tell them.
        pid: its number.
        start: when it started, in a unit of the system; empty if unknown.
    """

    host: str
    machine: str
    pid: int
    start: str

    @property
    def ended(self) -> bool | None:
        """Whether it has ended; `None` if this process cannot tell."""
        here = this_process()
        if not (self.start and self.machine) or (self.host, self.machine) != (here.host, here.machine):
            return None
        return started(self.pid) != self.start


def this_process() -> ProcessIdentity:
    """The process that asks."""
    machine = ""
    with suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        machine = f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    return ProcessIdentity(socket.gethostname(), machine, os.getpid(), started(os.getpid()))


def started(pid: int) -> str:
    """Start of a running process of this machine; empty if there is none, or it is a zombie."""
    if sys.platform == "linux":
        try:
            fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except OSError:
            return ""
        return "" if fields[0] in "ZX" else fields[19]
    import psutil

    try:
        process = psutil.Process(pid)
        return "" if process.status() == psutil.STATUS_ZOMBIE else str(process.create_time())
    except psutil.Error:
        return ""
