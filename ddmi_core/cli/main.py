"""The program `ddmi`: its commands and global options."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from typing import Annotated

import typer

from ddmi_core.cli import doctor, generate, inspect, plugins, train
from ddmi_core.cli.errors import Commands
from ddmi_core.cli.output import short_warning
from ddmi_core.errors import DdmiDeprecationWarning
from ddmi_core.registry.limit import set_limit

app = typer.Typer(
    cls=Commands,
    name="ddmi",
    help="Train, sample and inspect generative models of continuous fields (DDMI).",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_COMMANDS: tuple[Callable[..., None], ...] = (
    train.run,
    generate.sample,
    generate.complete,
    generate.conditions,
    generate.reconstruct,
    inspect.evaluate,
    inspect.report,
    inspect.view,
    train.settings,
    doctor.doctor,
    inspect.bench,
)
for command in _COMMANDS:
    app.command()(command)
app.add_typer(train.data_app, name="data")
app.add_typer(plugins.app, name="plugins")


def _version(requested: bool) -> None:
    if requested:
        from ddmi_core import __version__

        typer.echo(f"ddmi {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_version, is_eager=True)
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    no_plugins: Annotated[
        bool, typer.Option("--no-plugins", help="Disable all plugins, as DDMI_PLUGINS='' does.")
    ] = False,
) -> None:
    """Train, sample and inspect generative models of continuous fields (DDMI)."""
    if no_plugins:
        os.environ["DDMI_PLUGINS"] = ""
    set_limit()
    warnings.simplefilter("default", DdmiDeprecationWarning)
    warnings.formatwarning = short_warning


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command, and end the program with its exit status.

    Args:
        arguments: for example `["run", "--plugin", "mine"]`; those of the command line by default.

    Raises:
        SystemExit: with the exit status.
    """
    app(arguments)
