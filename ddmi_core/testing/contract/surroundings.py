"""Checks of side effects: network, process state, files, threads and processes."""

from __future__ import annotations

from ddmi_core.testing.check import expect
from ddmi_core.testing.subject import Subject

STAYS = "change no process-wide state; pass generators, and restore state that a library changes"


def check_no_network(subject: Subject) -> None:
    """Loading the default data, encoding, rendering and writing use no network."""
    found = subject.process_report.connections
    expect(
        not found,
        f"it tried to connect to {found[0] if found else ''}",
        "ship default data in an installed package, and let other sources read local files",
        connections=len(found),
    )


def check_global_state(subject: Subject) -> None:
    """Process-wide state is unchanged: random states, default dtype, threads, environment, logging, signals."""
    changed = subject.process_report.changed
    details = "; ".join(f"{name}: {before[:80]} became {after[:80]}" for name, (before, after) in changed.items())
    expect(not changed, f"it changed {details}", STAYS, changed=len(changed))


def check_nothing_is_left(subject: Subject) -> None:
    """No files are left in the working and the temporary folder, and no threads or processes are left running."""
    seen = subject.process_report
    expect(
        not seen.files,
        f"files are left, such as {seen.files[0] if seen.files else ''}",
        "write to the given path, and use tempfile.TemporaryDirectory in a with block",
        files=len(seen.files),
    )
    expect(
        not seen.threads,
        f"threads are still running: {', '.join(seen.threads)}",
        "join threads, or use a ThreadPoolExecutor in a with block",
        threads=len(seen.threads),
    )
    expect(
        not seen.children,
        f"processes are still running: {', '.join(seen.children)}",
        "wait for processes, or use a pool in a with block",
        processes=len(seen.children),
    )
