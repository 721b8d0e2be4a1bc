"""Error reporting of commands: one sentence and an exit status instead of a traceback."""

from __future__ import annotations

import traceback
import warnings
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup

from ddmi_core.cli import options
from ddmi_core.errors import DdmiDeprecationWarning, DdmiError, DdmiWarning, Interrupted, PluginError

# The module in which typer keeps this class depends on its version.
UsageError: type[Exception] = typer.BadParameter.__mro__[1]
_show_other = warnings.showwarning


class Commands(TyperGroup):
    """Command group that reports errors as one sentence with the error's exit status."""

    def make_context(self, *arguments: Any, **options: Any) -> Any:
        """Parse the program's options."""
        try:
            return super().make_context(*arguments, **options)
        except UsageError as error:
            _refuse(error)

    def invoke(self, ctx: Any) -> Any:
        """Run the selected command."""
        try:
            return super().invoke(ctx)
        except UsageError as error:
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


def show_warning(message: Warning | str, category: type[Warning], *place: Any, **options: Any) -> None:
    """Show warnings of ddmi as one line; for `warnings.showwarning`, whose arguments it takes."""
    if issubclass(category, DdmiWarning | DdmiDeprecationWarning):
        _say("warning: ", "yellow", str(message))
    else:
        _show_other(message, category, *place, **options)


def _refuse(error: Exception) -> NoReturn:
    """Exit for wrong usage, except for a group without a command, for which typer shows the help."""
    if _shows_help(error):
        raise error
    _say("error: ", "bold red", _sentence(error))
    raise typer.Exit(2) from error


def _say(word: str, style: str, sentence: str = "") -> None:
    from rich.console import Console
    from rich.text import Text

    Console(stderr=True).print(Text.assemble((word, style), sentence), soft_wrap=True)


def _shows_help(error: Exception) -> bool:
    """Whether a group was called without a command."""
    return type(error).__name__ == "NoArgsIsHelpError"


def _sentence(error: Any) -> str:
    """The usage error and the command for help."""
    parameter = getattr(error, "param", None)
    if type(error).__name__ == "MissingParameter" and parameter is not None:
        words = _missing(parameter)
    else:
        message = str(error.format_message()).strip().rstrip(".")
        for theirs, ours in (". Did you mean", "; did you mean"), (": Input should be", ": it must be"):
            message = message.replace(theirs, ours)
        words = message[:1].lower() + message[1:]
    if error.ctx is None:
        return words
    return f"{words}{' See' if words.endswith('?') else '; see'} {error.ctx.command_path} --help"


def _missing(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return f"{parameter.metavar or str(parameter.name).upper()} is missing"
    words = f"{parameter.opts[0]} {parameter.metavar or ''}".strip() + " is missing"
    if "--plugin" in parameter.opts:
        words += f"; installed: {', '.join(options.plugins('')) or 'none'}"
    return words
