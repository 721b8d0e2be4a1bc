"""`ddmi plugins new`: the distribution of a new plugin, ready to be installed and run."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from ddmi_core.cli.output import check_writable, print_lines
from ddmi_core.scaffold.choices import CHOICES


def _axes(incomplete: str) -> list[str]:
    return [axes for axes in CHOICES if axes.startswith(incomplete)]


def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the plugin.", show_default=False)],
    axes: Annotated[
        str,
        typer.Option(
            "--axes",
            metavar="|".join(CHOICES),
            help="What the signals depend on: the time, a plane, both, or space.",
            autocompletion=_axes,
        ),
    ] = "xy",
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder to make ddmi-NAME in.")] = Path(),
    summary: Annotated[
        str, typer.Option("--summary", metavar="TEXT", help="One sentence that says what the signals are.")
    ] = "",
) -> None:
    """Write a new plugin whose data are formulas: an installable distribution, with tests, that trains in a minute."""
    from ddmi_core.scaffold.writing import write_plugin

    check_writable(out)
    folder = write_plugin(name, axes, out, summary)
    place = folder if folder.is_absolute() else f"./{folder}"
    print_lines(
        (
            f"wrote {place}, whose data are formulas; its README says what to replace. Next:",
            f"  pip install -e {shlex.quote(f'{place}[test]')}",
            f"  ddmi plugins test {name}",
            f"  ddmi run --plugin {name}",
            f"  pytest {shlex.quote(str(place))}",
        )
    )
