"""`ddmi data`: look at data before training on them."""

from __future__ import annotations

from typing import Annotated

import typer

from ddmi_core.cli import options
from ddmi_core.cli.output import print_result

app = typer.Typer(no_args_is_help=True, help="Look at data before training on them.")


@app.callback()
def _group() -> None:
    """Look at data before training on them."""


@app.command()
def check(
    data: Annotated[
        str, typer.Argument(metavar="PATH|NAME", help="Data, as for `ddmi run --data`; see `ddmi data sources`.")
    ],
    plugin: options.Plugin,
    preset: options.Preset = "",
    sets: options.Set = [],  # noqa: B006 - typer copies it
    config: options.ConfigFile = None,
    as_json: options.Json = False,
) -> None:
    """Read a data set as training would, and say what is in it and what is wrong with it."""
    from ddmi_core.cli.configure import configured

    domain, settings = configured(plugin, preset, config, sets, data)

    from ddmi_core.runs import data as checks

    print_result(checks.check(domain, settings.data, settings.domain), as_json)


@app.command()
def sources(plugin: options.Plugin, as_json: options.Json = False) -> None:
    """List the sources of a plugin: how `--data` asks for each, and what it reads."""
    from ddmi_core.registry.registry import domain_named
    from ddmi_core.runs import sources as lists

    print_result(lists.sources(domain_named(plugin)), as_json)
