"""Checks of what a plugin leaves alone: the network, the state of the process, files, threads and processes."""

from __future__ import annotations

from ddmi_core.testing.check import expect
from ddmi_core.testing.subject import Subject

STAYS = "set nothing for the whole process; pass generators, and restore what a library changes"


def check_no_network(subject: Subject) -> None:
    """Loading the default data, encoding, rendering and writing reach for no network."""
    found = subject.process_report.connections
    expect(
        not found,
        f"it tried to connect to {found[0] if found else ''}",
        "bring default data with an installed package, and let other sources read what is on the disk",
        connections=len(found),
    )


def check_global_state(subject: Subject) -> None:
    """What a process has once stays as it was: random states, number types, threads, environment, logging, signals."""
    changed = subject.process_report.changed
    details = "; ".join(f"{name}: {before[:80]} became {after[:80]}" for name, (before, after) in changed.items())
    expect(not changed, f"it changed {details}", STAYS, changed=len(changed))


def check_nothing_is_left(subject: Subject) -> None:
    """No files stay in the working folder and the folder for temporary files, and no threads and processes run on."""
    seen = subject.process_report
    expect(
        not seen.files,
        f"files are left, such as {seen.files[0] if seen.files else ''}",
        "write to the path that is given, and use tempfile.TemporaryDirectory in a with block",
        files=len(seen.files),
    )
    expect(
        not seen.threads,
        f"threads run on: {', '.join(seen.threads)}",
        "join threads, or use a ThreadPoolExecutor in a with block",
        threads=len(seen.threads),
    )
    expect(
        not seen.children,
        f"processes run on: {', '.join(seen.children)}",
        "wait for processes, or use a pool in a with block",
        processes=len(seen.children),
    )
