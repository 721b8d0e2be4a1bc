"""Error reporting of commands: one sentence and an exit status for every exception instead of a traceback."""

from __future__ import annotations

import traceback
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup

from ddmi_core.cli import options, unexpected
from ddmi_core.errors import (
    DdmiDeprecationWarning,
    DdmiError,
    DdmiWarning,
    Interrupted,
    PluginError,
    printable,
    shortened,
)

# The module in which typer keeps this class depends on its version.
UsageError: type[Exception] = typer.BadParameter.__mro__[1]
_show_other = warnings.showwarning


class Commands(TyperGroup):
    """Command group that reports errors as one sentence with the error's exit status."""

    def make_context(self, *arguments: Any, **options: Any) -> Any:
        """Parse the program's options."""
        with _as_sentences({}):
            return super().make_context(*arguments, **options)

    def invoke(self, ctx: Any) -> Any:
        """Run the selected command."""
        with _as_sentences(ctx.params):
            return super().invoke(ctx)


@contextmanager
def _as_sentences(options: Mapping[str, Any]) -> Iterator[None]:
    """End the program with a sentence and a status for any exception of the block.

    Args:
        options: of the program; `debug` shows the traceback as well.
    """
    try:
        yield
    except (typer.Exit, typer.Abort, SystemExit, GeneratorExit, BrokenPipeError):
        raise
    except UsageError as error:
        _refuse(error)
    except KeyboardInterrupt as error:
        _say("interrupted", "yellow")
        raise typer.Exit(130) from error
    except Interrupted as error:
        _say("stopped: ", "bold yellow", str(error))
        raise typer.Exit(error.exit_status) from error
    except BaseException as error:  # panics of compiled extensions are no `Exception`
        raise typer.Exit(_told(error, bool(options.get("debug")))) from error


def _told(error: BaseException, debug: bool) -> int:
    """Tell an error; returns the exit status."""
    if debug:
        traceback.print_exception(error)
    found = error if isinstance(error, DdmiError) else unexpected.known(error)
    if found is None:
        _say("error: ", "bold red", unexpected.sentence(error))
        return 1
    _say("error: ", "bold red", str(found))
    if isinstance(error, PluginError) and error.__cause__ is not None and not debug:
        _say("note: ", "yellow", f"for its authors, {unexpected.hint(error)}")
    return found.exit_status


def show_warning(message: Warning | str, category: type[Warning], *place: Any, **options: Any) -> None:
    """Show warnings of ddmi as one line; for `warnings.showwarning`, whose arguments it takes."""
    if issubclass(category, DdmiWarning | DdmiDeprecationWarning):
        _say("warning: ", "yellow", printable(str(message)))
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
        return shortened(printable(words))
    words = shortened(printable(words))
    return f"{words}{' See' if words.endswith('?') else '; see'} {error.ctx.command_path} --help"


def _missing(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return f"{parameter.metavar or str(parameter.name).upper()} is missing"
    words = f"{parameter.opts[0]} {parameter.metavar or ''}".strip() + " is missing"
    if "--plugin" in parameter.opts:
        words += f"; installed: {', '.join(options.plugins('')) or 'none'}"
    return words
