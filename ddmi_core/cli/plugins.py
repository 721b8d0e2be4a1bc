"""The commands for plugins: `ddmi plugins`, `ddmi plugins test` and `ddmi plugins new`."""

from __future__ import annotations

import contextlib
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ddmi_core.cli import options
from ddmi_core.cli.output import check_writable, print_json, print_lines
from ddmi_core.errors import RequestError
from ddmi_core.registry.records import EXTENSIONS, KINDS, PluginRecord, Status
from ddmi_core.scaffold.choices import CHOICES

if TYPE_CHECKING:
    from ddmi_core.testing import Check, Outcome

app = typer.Typer(help="List plugins.", invoke_without_command=True)

UNKNOWN = "-"
_STYLES = {Status.READY: "green", Status.FOUND: "", Status.DISABLED: "dim"}


@app.callback()
def plugins(
    context: typer.Context,
    check: Annotated[
        bool, typer.Option("--check", help="Load each plugin in a separate process; exit status 1 if one fails.")
    ] = False,
    time_factor: options.TimeFactor = None,
    as_json: options.Json = False,
) -> None:
    """List plugins and extensions with origin and status, and the reason and fix if one cannot be used."""
    if context.invoked_subcommand:
        return
    if check:
        from ddmi_core.testing.probe import checked

        records = checked()
    else:
        from ddmi_core.registry.registry import listed, listed_extensions

        records = (*listed(), *listed_extensions())
    if as_json:
        import attrs

        print_json([attrs.asdict(record) for record in records])
    else:
        _show(records)
    if check and any(not record.usable and record.status is not Status.DISABLED for record in records):
        raise typer.Exit(1)


def _show(records: Sequence[PluginRecord]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    plugins = Table("name", "version", "distribution", "API", "axes", "status", box=box.SIMPLE)
    extensions = Table("extension", "version", "distribution", "API", "provides", "status", box=box.SIMPLE)
    for record in records:
        api = UNKNOWN if record.api_version is None else str(record.api_version)
        row = (record.name, record.version, record.distribution or "this program", api)
        status = Text(record.status, style=_STYLES.get(record.status, "red"))
        if record.group == EXTENSIONS:
            provides = (f"{KINDS[kind]} {name}" for kind, found in record.provides.items() for name in found)
            extensions.add_row(*map(Text, (*row, ", ".join(provides) or UNKNOWN)), status)
        else:
            plugins.add_row(*map(Text, (*row, " ".join(record.axes) or UNKNOWN)), status)
    for table in (plugins, extensions):
        for column in table.columns:
            column.overflow = "fold"  # never cut a name
        if table.row_count or table is plugins:
            console.print(table)
    if any(record.status is Status.FOUND for record in records):
        typer.echo(f"{UNKNOWN} means unknown until the plugin is loaded; use --check")
    for record in records:
        if record.reason:
            console.print(Text(record.sentence), soft_wrap=True)
    if not records:
        typer.echo("no plugin is installed")


@app.command("test")
def check_contract(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME|FILE",
            help="Plugin, see `ddmi plugins`; or a file that defines a domain, ./mine.py.",
            autocompletion=options.plugins,
        ),
    ] = "",
    only: Annotated[
        list[str], typer.Option("--only", metavar="CHECK", help="Run only this check. May be repeated.")
    ] = [],  # noqa: B006 - typer copies it
    show: Annotated[bool, typer.Option("--list", help="List the checks with their contracts.")] = False,
    expect_failure: Annotated[
        list[str],
        typer.Option(
            "--expect-failure",
            metavar="CHECK=REASON",
            help="This check must fail; adds to [tool.ddmi.expected-failures] in the plugin's pyproject.toml. "
            "May be repeated.",
        ),
    ] = [],  # noqa: B006 - typer copies it
    data: options.Data = "",
    sets: options.Set = [],  # noqa: B006 - typer copies it
    time_factor: options.TimeFactor = None,
    as_json: options.Json = False,
) -> None:
    """Check a plugin against the plugin contract; exit status 1 if it violates it."""
    if not show and not name:
        raise RequestError("NAME is missing: `ddmi plugins test NAME`, or `ddmi plugins test --list` for all checks")

    import torch

    from ddmi_core.testing import CHECKS, Subject, check_named, examine, expected_failures
    from ddmi_core.testing.expected import parsed

    checks = [check_named(check) for check in only] or list(CHECKS)
    if show:
        _list(checks, as_json)
        return
    reasons = {**expected_failures(name), **parsed(expect_failure)}
    out = sys.stdout

    def tell(outcome: Outcome) -> None:
        for line in outcome.lines() if not as_json else ():
            typer.echo(line, file=out)

    torch.set_num_threads(max(1, torch.get_num_threads() // 2))  # leaves room for the fresh process
    # A plugin's own output goes to standard error, so that standard output stays machine-readable.
    with Subject(name, data=data, settings=sets) as subject, contextlib.redirect_stdout(sys.stderr):
        found = examine(subject, checks, tell, reasons)
    if as_json:
        print_json(found.to_json())
    else:
        typer.echo(found.summary())
    if found.failed:
        raise typer.Exit(1)


def _list(checks: list[Check], as_json: bool) -> None:
    if as_json:
        print_json([{"check": check.name, "contract": check.contract} for check in checks])
    else:
        width = max(len(check.name) for check in checks)
        print_lines(f"{check.name:{width}}  {check.contract}" for check in checks)


def _axes(incomplete: str) -> list[str]:
    return [axes for axes in CHOICES if axes.startswith(incomplete)]


@app.command("new")
def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the plugin.", show_default=False)],
    axes: Annotated[
        str,
        typer.Option(
            "--axes",
            metavar="|".join((*CHOICES, "...")),
            help="Coordinates of the signals: time, a plane, a plane and time, space, or four to six letters.",
            autocompletion=_axes,
        ),
    ] = "xy",
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Parent folder of ddmi-NAME.")] = Path(),
    summary: Annotated[
        str, typer.Option("--summary", metavar="TEXT", help="One sentence that describes the signals.")
    ] = "",
) -> None:
    """Write a new plugin: an installable distribution with procedural data and tests.

    A first run takes one to two minutes on two CPU cores.
    """
    from ddmi_core.scaffold.writing import write_plugin

    check_writable(out)
    folder = write_plugin(name, axes, out, summary)
    place = folder if folder.is_absolute() else f"./{folder}"
    print_lines(
        (
            f"wrote {place} with procedural data; its README lists what to replace. Next:",
            f"  pip install -e {shlex.quote(f'{place}[test]')}",
            f"  ddmi plugins test {name}",
            f"  ddmi run --plugin {name}",
            f"  pytest {shlex.quote(str(place))}",
        )
    )
