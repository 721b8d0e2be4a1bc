"""`ddmi doctor`: what this installation has, lacks, and what that means."""

from __future__ import annotations

import typer

from ddmi_core.cli import options
from ddmi_core.cli.output import print_json


def doctor(as_json: options.Json = False) -> None:
    """Look at versions, hardware, optional packages and folders; status 1 if something needed is missing."""
    import attrs

    from ddmi_core.cli.diagnosis import examined

    findings = examined()
    if as_json:
        print_json([attrs.asdict(finding) for finding in findings])
    else:
        for finding in findings:
            mark = {"good": "+", "absent": "-", "wrong": "!"}[finding.state]
            note = f"  ({finding.note})" if finding.note else ""
            typer.echo(f"{mark} {finding.name}: {finding.value}{note}")
    if any(finding.state == "wrong" for finding in findings):
        raise typer.Exit(1)
