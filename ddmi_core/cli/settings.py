"""`ddmi settings`: every setting of a plugin's runs, with its value and what it takes."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ddmi_core.cli import options
from ddmi_core.cli.output import print_json

_OWN_OPTIONS = ("plugin", "preset")


def settings(
    plugin: options.Plugin,
    preset: options.Preset = "",
    config: options.ConfigFile = None,
    sets: options.Set = [],  # noqa: B006 - typer copies it
    toml: Annotated[bool, typer.Option("--toml", help="Print a file for --config.")] = False,
    as_json: options.Json = False,
) -> None:
    """List the settings that --set and --config take, at the values of a preset."""
    from ddmi_core.cli.configure import configured

    _, resolved = configured(plugin, preset, config, sets)

    from ddmi_core.runs.settings import dumps, keys

    if toml:
        typer.echo(dumps(resolved), nl=False)
        return
    rows = [row for row in keys(resolved) if row.key not in _OWN_OPTIONS]
    if as_json:
        print_json(
            [{"key": row.key, "value": _plain(row.default), "takes": row.takes, "summary": row.summary} for row in rows]
        )
        return

    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("key", "value", "what it is, and what it takes", box=box.SIMPLE)
    table.columns[0].no_wrap = True
    for row in rows:
        about = Text.assemble(row.summary + " " if row.summary else "", (f"Takes {row.takes}.", "dim"))
        table.add_row(Text(row.key), Text(str(_plain(row.default))), about)
    Console().print(table)


def _plain(value: Any) -> Any:
    """A value as JSON has it: tuples as lists, enumerations as their values."""
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if isinstance(value, int | float | str | bool | None) else getattr(value, "value", str(value))
