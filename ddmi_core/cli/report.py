"""`ddmi report`: write the report of a run again."""

from __future__ import annotations

import typer

from ddmi_core.cli import options
from ddmi_core.cli.source import check_run


def report(run: options.RunFolder) -> None:
    """Write report.html from what the run folder holds."""
    check_run(run)

    from ddmi_core.runs import report as reports

    typer.echo(reports.build(run))
