"""The program `ddmi`: its commands and global options."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from typing import Annotated

import typer

from ddmi_core.cli.commands import ExtensibleCommands, add_command
from ddmi_core.cli.errors import show_warning
from ddmi_core.cli.unexpected import install_thread_hook
from ddmi_core.errors import DdmiDeprecationWarning, DdmiWarning
from ddmi_core.registry.discovery import VARIABLE, unknown_listed
from ddmi_core.registry.extensions import names, part
from ddmi_core.registry.limit import set_limit

app = typer.Typer(
    cls=ExtensibleCommands,
    name="ddmi",
    help="Train, sample and inspect generative models of continuous fields (DDMI).",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _name in names("commands"):
    add_command(app, _name, part("commands", _name))


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
        os.environ[VARIABLE] = ""
    set_limit()
    if os.environ.get(VARIABLE) and (unknown := unknown_listed()):
        warnings.warn(unknown, DdmiWarning, stacklevel=1)
    warnings.simplefilter("default", DdmiDeprecationWarning)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command, and end the program with its exit status.

    Args:
        arguments: for example `["run", "--plugin", "mine"]`; those of the command line by default.

    Raises:
        SystemExit: with the exit status.
    """
    warnings.showwarning = show_warning
    install_thread_hook()
    app(arguments)
