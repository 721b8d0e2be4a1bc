"""`ddmi evaluate`: figures of a run, the table of samplers, and the comparison of runs."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from signal import SIGINT
from typing import Annotated

import typer

from ddmi_core.cli import options
from ddmi_core.cli.model_source import check_run
from ddmi_core.cli.output import print_result
from ddmi_core.errors import Interrupted, RequestError
from ddmi_core.progress import doing


class Protocols(StrEnum):
    """Values of `--protocol`."""

    default = "default"
    paper = "paper"


def evaluate(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN...", help="Folder of a run to evaluate, or several to compare.", show_default=False
        ),
    ],
    plugin: options.RunFile = None,
    protocol: Annotated[
        Protocols,
        typer.Option(
            "--protocol",
            help="default: as many samples as held-out signals. paper: as the domain's paper does; kept in "
            "metrics-paper.json.",
        ),
    ] = Protocols.default,
    network: Annotated[
        list[str],
        typer.Option(
            "--network",
            metavar="KIND:PATH",
            help="Feature network, as in evaluation.networks, in place of those of the run. May be repeated.",
        ),
    ] = [],  # noqa: B006 - typer copies it
    sweep: Annotated[
        bool, typer.Option("--sweep", help="Measure the samplers and steps of evaluation.grid instead.")
    ] = False,
    across: Annotated[
        list[str],
        typer.Option(
            "--across", metavar="ENTRY", help="Compare runs although this protocol entry differs. May be repeated."
        ),
    ] = [],  # noqa: B006 - typer copies it
    as_json: options.Json = False,
    trust: options.Trust = False,
) -> None:
    """Evaluate reconstructions and samples of a run, and write metrics.json.

    Several runs are compared by their stored figures, if the protocols are the same.
    """
    paper = protocol is Protocols.paper
    for run in runs:
        check_run(run)
    if len(runs) > 1:
        if sweep or plugin or network:
            raise RequestError("--sweep, --plugin and --network apply to one run. Fix: give one RUN, or leave them out")
        from ddmi_core.evaluation.compare import compare_runs

        print_result(compare_runs(runs, paper=paper, across=across), as_json)
        return
    if across:
        raise RequestError("--across applies to the comparison of runs. Fix: give two runs or more, or leave it out")
    if sweep and paper:
        raise RequestError("--sweep has no protocol of a paper. Fix: leave one of --sweep and --protocol out")
    if sweep and network:
        raise RequestError("--sweep uses the plugin's own features alone. Fix: leave one of --sweep and --network out")

    if sweep:
        from ddmi_core.evaluation.sweep import sweep_run

        with doing("evaluation"):
            result = sweep_run(runs[0], plugin)
    else:
        from ddmi_core.evaluation.evaluate import evaluate_run

        try:
            with doing("evaluation"):
                result = evaluate_run(runs[0], plugin, protocol="paper" if paper else "", networks=network)
        except KeyboardInterrupt as error:
            text = "the samples drawn so far are kept in the run folder; the same command continues with them"
            raise Interrupted(text, SIGINT) from error

    from ddmi_core.training.distributed import is_main

    if is_main():
        print_result(result, as_json)
