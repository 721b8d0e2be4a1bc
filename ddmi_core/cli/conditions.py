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
    """List what `ddmi sample --condition` takes, one a line: classes, or examples of texts."""
    check_source(run, plugin)
    model = load_model(run, plugin)
    names = list(model.classes) if model.diffusion.classes else []
    nothing = "this model was trained without conditions, so it takes no --condition"
    if model.condition is not None:
        names = list(model.condition.examples())
        nothing = "this model takes texts as --condition; the plugin's documentation says which"
    if as_json:
        print_json(names)
    else:
        print_lines(names or [nothing])
