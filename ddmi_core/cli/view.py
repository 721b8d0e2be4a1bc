"""`ddmi view`: a local page to look at samples, zoom, turn and mix them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ddmi_core.cli import options
from ddmi_core.cli.source import check_source, load_model


def view(
    run: Annotated[Path | None, typer.Argument(metavar="RUN", help="Folder of a run.", show_default=False)] = None,
    plugin: options.ShippedPlugin = "",
    port: Annotated[
        int | None,
        typer.Option("--port", min=0, max=65535, help="Port; the first free one from 8642 on by default, 0 for any."),
    ] = None,
    no_open: Annotated[bool, typer.Option("--no-open", help="Open no browser.")] = False,
) -> None:
    """Show samples on a page of this machine, until Ctrl-C: zoom, turn, play and mix them."""
    check_source(run, plugin)

    from ddmi_core.viewer import opening

    title = plugin if run is None else run.resolve().name
    opening.serve(lambda: load_model(run, plugin), title, port, browser=not no_open, told=typer.echo)
