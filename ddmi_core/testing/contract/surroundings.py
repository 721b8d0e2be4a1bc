"""Checks of side effects: network, process state, files, threads and processes."""

from __future__ import annotations

from ddmi_core.registry.limit import factor, fix
from ddmi_core.testing.check import NotApplicable, Remark, expect
from ddmi_core.testing.subject import Subject

IMPORT_SECONDS = {"description": 2.0, "implementation": 8.0}  # of CPU time
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


def check_global_state(subject: Subject) -> Remark:
    """Process-wide state is unchanged: random states, default dtype, threads, environment, logging, signals."""
    changed = subject.process_report.changed
    details = "; ".join(f"{name}: {before[:80]} became {after[:80]}" for name, (before, after) in changed.items())
    expect(not changed, f"it changed {details}", STAYS, changed=len(changed))
    variables = subject.process_report.variables
    root = subject.domain.package.partition(".")[0]
    own = {name: module for name, module in variables.items() if module.partition(".")[0] in (root, "")}
    expect(
        not own,
        "it changed environment variables: "
        + ", ".join(f"{name} (in {module})" if module else name for name, module in own.items()),
        "pass options to libraries by their arguments, and restore the variables that a library needs",
        variables=len(own),
    )
    others = ", ".join(f"{name} by {module}" for name, module in variables.items())
    return f"environment variables set by dependencies: {others}" if others else None


def check_imports_are_quick(subject: Subject) -> None:
    """Importing the description takes less than 2 s of CPU time, and the implementation less than 8 s."""
    found = subject.process_report
    if found.heavy:
        raise NotApplicable(f"the description imports {' and '.join(found.heavy)}, which another check reports")
    for name, seconds in found.imports.items():
        most = IMPORT_SECONDS[name] * factor()
        expect(
            seconds <= most or most <= 0,
            f"importing the {name} takes too long",
            f"import large packages, read files and compute tables where they are first used; {fix()}",
            seconds=seconds,
            most=most,
        )


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
