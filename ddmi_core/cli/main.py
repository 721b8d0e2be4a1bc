"""The command `ddmi`: its groups of commands, and how errors end it."""

from __future__ import annotations

import os
import traceback
import warnings
from collections.abc import Callable
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from ddmi_core.cli import (
    bench,
    complete,
    conditions,
    data,
    doctor,
    evaluate,
    plugins,
    reconstruct,
    report,
    run,
    sample,
    settings,
    usage,
    view,
)
from ddmi_core.deprecation import DdmiDeprecationWarning
from ddmi_core.errors import DdmiError, Interrupted, PluginError
from ddmi_core.registry.limit import set_limit


class Commands(TyperGroup):
    """Ends the program with a sentence and the error's own exit status, in place of a traceback."""

    def make_context(self, *arguments: Any, **options: Any) -> Any:
        """Read the program's own options."""
        try:
            return super().make_context(*arguments, **options)
        except usage.UsageError as error:
            _refuse(error)

    def invoke(self, ctx: Any) -> Any:
        """Run the chosen command."""
        try:
            return super().invoke(ctx)
        except usage.UsageError as error:
            _refuse(error)
        except KeyboardInterrupt as error:
            _say("interrupted", "yellow")
            raise typer.Exit(130) from error
        except Interrupted as error:
            _say("stopped: ", "bold yellow", str(error))
            raise typer.Exit(error.exit_status) from error
        except DdmiError as error:
            if ctx.params.get("debug"):
                traceback.print_exception(error)
            elif isinstance(error, PluginError) and error.__cause__ is not None:
                traceback.print_exception(error.__cause__)
            _say("error: ", "bold red", str(error))
            raise typer.Exit(error.exit_status) from error


app = typer.Typer(
    cls=Commands,
    name="ddmi",
    help="Train, sample and look at models of continuous fields (DDMI).",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_COMMANDS: tuple[Callable[..., None], ...] = (
    run.run,
    sample.sample,
    complete.complete,
    conditions.conditions,
    reconstruct.reconstruct,
    evaluate.evaluate,
    report.report,
    view.view,
    settings.settings,
    doctor.doctor,
    bench.bench,
)
for command in _COMMANDS:
    app.command()(command)
app.add_typer(data.app, name="data")
app.add_typer(plugins.app, name="plugins")


def _version(asked: bool) -> None:
    if asked:
        from ddmi_core import __version__

        typer.echo(f"ddmi {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_version, is_eager=True)
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    no_plugins: Annotated[bool, typer.Option("--no-plugins", help="Use no plugin, like DDMI_PLUGINS=''.")] = False,
) -> None:
    """Train, sample and look at models of continuous fields (DDMI)."""
    if no_plugins:
        os.environ["DDMI_PLUGINS"] = ""
    set_limit()
    warnings.simplefilter("default", DdmiDeprecationWarning)


def _refuse(error: Exception) -> NoReturn:
    """End the program for wrong usage; typer itself shows the help of a group without a command."""
    if usage.asks_for_help(error):
        raise error
    _say("error: ", "bold red", usage.sentence(error))
    raise typer.Exit(2) from error


def _say(word: str, style: str, sentence: str = "") -> None:
    from rich.console import Console
    from rich.text import Text

    Console(stderr=True).print(Text.assemble((word, style), sentence), soft_wrap=True)


def main() -> None:
    """Entry point of the program."""
    app()
