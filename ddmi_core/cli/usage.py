"""Wrong usage of a command in the words of this program: one sentence, with what would be right."""

from __future__ import annotations

from typing import Any

import typer

from ddmi_core.cli import completion

# The module in which typer keeps this class depends on its version.
UsageError: type[Exception] = typer.BadParameter.__mro__[1]


def asks_for_help(error: Exception) -> bool:
    """Whether a group was called without a command, which shows its help and is no mistake to explain."""
    return type(error).__name__ == "NoArgsIsHelpError"


def sentence(error: Any) -> str:
    """What is wrong with a command line, and where its help is."""
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
        return f"{parameter.metavar} is missing"
    words = f"{parameter.opts[0]} {parameter.metavar or ''}".strip() + " is missing"
    if "--plugin" in parameter.opts:
        words += f"; installed: {', '.join(completion.plugins('')) or 'none'}"
    return words
