"""Memory and processors that this process may use, on the machine and in its control group (container, job)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil

GROUPS, OWN = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")  # control groups of Linux, version 2


def free_memory() -> int:
    """Free bytes of the machine, or of a control group of this process or of its own limit if that has fewer.

    Cached files that the system drops when memory gets short are free, as in Linux' own figure for the machine.
    """
    free = int(psutil.virtual_memory().available)
    for group in _groups():
        with suppress(OSError, ValueError, KeyError):  # no such file, or "max": no limit
            facts = dict(line.split() for line in (group / "memory.stat").read_text(encoding="utf-8").splitlines())
            used = int((group / "memory.current").read_text(encoding="utf-8")) - int(facts["inactive_file"])
            free = min(free, int((group / "memory.max").read_text(encoding="utf-8")) - used)
    with suppress(ImportError):  # no such module on Windows
        import resource

        most, _ = resource.getrlimit(resource.RLIMIT_AS)  # ulimit -v
        if most != resource.RLIM_INFINITY:
            free = min(free, most - int(psutil.Process().memory_info().vms))
    return max(free, 0)


def cores() -> int:
    """Processors that this process may use at once: those of its affinity mask, or the quota of its control group."""
    number = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    for group in _groups():
        with suppress(OSError, ValueError):  # no such file, or "max": no limit
            quota, period = (group / "cpu.max").read_text(encoding="utf-8").split()
            number = min(number, max(1, int(quota) // int(period)))
    return number


def limit_threads() -> None:
    """Lower the number of torch's threads to `cores`: torch counts processors of the mask, whatever the quota is."""
    import torch  # which `ddmi doctor` finds damaged

    if cores() < torch.get_num_threads():
        torch.set_num_threads(cores())


def _groups() -> Iterator[Path]:
    """The control group of this process, and those that contain it."""
    with suppress(OSError):
        for line in OWN.read_text(encoding="utf-8").splitlines():
            if line.startswith("0::/"):
                own = GROUPS / line.removeprefix("0::/")
                yield from (group for group in (own, *own.parents) if group.is_relative_to(GROUPS))
