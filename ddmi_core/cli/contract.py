"""`ddmi plugins test`: hold a plugin against every check of the contract."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from ddmi_core.cli import completion, options
from ddmi_core.cli.output import print_json, print_lines
from ddmi_core.errors import RequestError

if TYPE_CHECKING:
    from ddmi_core.testing import Check, Outcome


def examined(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Plugin, see `ddmi plugins`.", autocompletion=completion.plugins)
    ] = "",
    only: Annotated[
        list[str], typer.Option("--only", metavar="CHECK", help="Make this check alone. May be repeated.")
    ] = [],  # noqa: B006 - typer copies it
    show: Annotated[bool, typer.Option("--list", help="List the checks with the contract that each looks at.")] = False,
    data: options.Data = "",
    sets: options.Set = [],  # noqa: B006 - typer copies it
    as_json: options.Json = False,
) -> None:
    """Hold a plugin against the plugin contract; status 1 if it breaks any part of it."""
    if not show and not name:
        raise RequestError("NAME is missing: `ddmi plugins test NAME`, or `ddmi plugins test --list` for all checks")

    import torch

    from ddmi_core.testing import CHECKS, Subject, check_named, examine

    checks = [check_named(check) for check in only] or list(CHECKS)
    if show:
        _list(checks, as_json)
        return
    out = sys.stdout

    def tell(outcome: Outcome) -> None:
        for line in outcome.lines() if not as_json else ():
            typer.echo(line, file=out)

    torch.set_num_threads(max(1, torch.get_num_threads() // 2))  # leaves room for the fresh process
    # What a plugin prints goes to standard error, so that this output can be read by programs.
    with Subject(name, data=data, settings=sets) as subject, contextlib.redirect_stdout(sys.stderr):
        found = examine(subject, checks, tell)
    if as_json:
        print_json(found.to_json())
    else:
        typer.echo(found.summary())
    if found.failed:
        raise typer.Exit(1)


def _list(checks: list[Check], as_json: bool) -> None:
    if as_json:
        print_json([{"check": check.name, "contract": check.contract} for check in checks])
    else:
        width = max(len(check.name) for check in checks)
        print_lines(f"{check.name:{width}}  {check.contract}" for check in checks)
