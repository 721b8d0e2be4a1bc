"""`ddmi conditions`: what `ddmi sample --condition` takes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ddmi_core.cli import options
from ddmi_core.cli.output import print_json, print_lines
from ddmi_core.cli.source import check_source, load_model


def conditions(
    run: Annotated[Path | None, typer.Argument(metavar="RUN", help="Folder of a run.", show_default=False)] = None,
    plugin: options.ShippedPlugin = "",
    as_json: options.Json = False,
) -> None:
    """List the classes that `ddmi sample --condition` takes, one a line."""
    check_source(run, plugin)
    model = load_model(run, plugin)
    names = list(model.classes) if model.diffusion.classes else []
    if as_json:
        print_json(names)
    else:
        print_lines(names or ["this model was trained without classes, so it takes no --condition"])
