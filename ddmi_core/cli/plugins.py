"""`ddmi plugins`: list what is installed, without importing it, or check each in a process of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from ddmi_core.cli import contract, options, scaffold
from ddmi_core.cli.output import print_json
from ddmi_core.registry.records import PluginRecord, Status

app = typer.Typer(help="List plugins.", invoke_without_command=True)
app.command("new")(scaffold.new)
app.command("test")(contract.examined)

UNKNOWN = "-"
_STYLES = {Status.READY: "green", Status.FOUND: "", Status.DISABLED: "dim"}


@app.callback()
def plugins(
    context: typer.Context,
    check: Annotated[
        bool, typer.Option("--check", help="Load each one, in a process of its own; status 1 if one fails.")
    ] = False,
    timeout: Annotated[float, typer.Option("--timeout", min=0.1, help="Seconds that --check gives each.")] = 30.0,
    as_json: options.Json = False,
) -> None:
    """List plugins: name, origin and status, with reason and mend where one cannot be used."""
    if context.invoked_subcommand:
        return
    if check:
        from ddmi_core.registry.check import checked

        records = checked(timeout)
    else:
        from ddmi_core.registry.registry import listed

        records = listed()
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
    table = Table("name", "version", "distribution", "API", "axes", "status", box=box.SIMPLE)
    for record in records:
        api = UNKNOWN if record.api_version is None else str(record.api_version)
        cells = (
            record.name,
            record.version,
            record.distribution or "this program",
            api,
            " ".join(record.axes) or UNKNOWN,
        )
        table.add_row(*map(Text, cells), Text(record.status, style=_STYLES.get(record.status, "red")))
    console.print(table)
    if any(record.status is Status.FOUND for record in records):
        typer.echo(f"{UNKNOWN} is not known before the plugin is loaded: shown by --check")
    for record in records:
        if record.reason:
            where = f"{record.name} from {record.origin} is {record.status}"
            console.print(Text(f"{where}: {record.reason}. To mend it: {record.mend}"), soft_wrap=True)
    if not records:
        typer.echo("no plugin is installed")
