"""`ddmi reconstruct`: encode signals and decode them again, at any size."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ddmi_core.cli import options
from ddmi_core.cli.output import check_writable
from ddmi_core.cli.source import check_source, known_suffix, known_view, load_model
from ddmi_core.errors import DataError, RequestError, counted


def reconstruct(
    items: Annotated[
        list[Path],
        typer.Argument(metavar="[RUN] INPUT...", help="Folder of a run, then files.", show_default=False),
    ],
    out: options.Out,
    plugin: options.ShippedPlugin = "",
    size: options.Size = "",
    file_type: options.Format = "",
    overwrite: options.Overwrite = False,
) -> None:
    """Reconstruct files with a trained model."""
    run, inputs = (None, items) if plugin else (items[0], items[1:])
    check_source(run, plugin)
    if not inputs:
        raise RequestError(f"give at least one INPUT after the run: ddmi reconstruct {run} INPUT... --out {out}")
    for path in inputs:
        if not path.exists():
            raise DataError(f"input {path} does not exist")
    suffix, view = known_suffix(run, plugin, file_type), known_view(run, plugin, size)
    check_writable(out)
    model = load_model(run, plugin)

    from ddmi_core.runs import produce

    paths = produce.reconstruct(model, inputs, size=view, suffix=suffix, out=out, overwrite=overwrite)
    typer.echo(f"wrote {counted(len(paths), 'file')} to {out}")
