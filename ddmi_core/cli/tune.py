"""`ddmi tune`: choose the options of sampling of a run."""

from __future__ import annotations

import shlex
from signal import SIGINT
from typing import Annotated

import typer

from ddmi_core.bounds import MOST_LEVELS
from ddmi_core.cli import options
from ddmi_core.cli.model_source import check_run
from ddmi_core.cli.output import print_json, print_lines, print_result
from ddmi_core.errors import Interrupted
from ddmi_core.progress import doing


def tune(
    run: options.RunFolder,
    plugin: options.RunFile = None,
    calls: Annotated[
        int | None,
        typer.Option(
            "--calls",
            min=1,
            max=MOST_LEVELS,
            help="Calls of the denoiser of a sample, without those that guidance adds; as many as now by default.",
        ),
    ] = None,
    count: Annotated[int, typer.Option("-n", min=16, max=1024, help="Number of samples of each trial.")] = 512,
    tries: Annotated[
        int | None, typer.Option("--tries", min=1, help="Try at most N options; all planned ones by default.")
    ] = None,
    minutes: Annotated[
        float | None,
        typer.Option("--minutes", min=0.01, help="Begin no trial that would probably end after so many minutes."),
    ] = None,
    seed: options.Seed = 2000,
    network: Annotated[
        str,
        typer.Option(
            "--network",
            metavar="KIND:PATH",
            help="Feature network, as in evaluation.networks; the plugin's own features by default.",
        ),
    ] = "",
    reset: Annotated[
        bool, typer.Option("--reset", help="Store the options from before the first tuning again, and try nothing.")
    ] = False,
    as_json: options.Json = False,
    trust: options.Trust = False,
    device: options.Device = "",
) -> None:
    """Choose guidance, its interval and the sampler by the distance of samples to training signals.

    The choice is stored in run.toml, for all commands and programs that load the run. Figures and samples made before
    are then stale.
    """
    check_run(run)

    from ddmi_core.evaluation import tune as tuning

    if reset:
        from ddmi_core.model.tuned import as_words

        before = tuning.reset(run)
        if as_json:
            print_json(before)
        else:
            print_lines([f"reset: {as_words(before)}"])
        return
    try:
        with doing("tuning"):
            found = tuning.tune(
                run,
                samples=count,
                tries=tries,
                minutes=minutes,
                calls=calls,
                seed=seed,
                network=network,
                plugin=plugin,
            )
    except KeyboardInterrupt as error:
        raise Interrupted(f"what was found so far is stored: {run / 'tuning.json'}", SIGINT) from error
    print_result(found, as_json)
    if found.chosen != found.before and not as_json:
        place = shlex.quote(str(run))
        print_lines(
            [
                f"stored in {run / 'run.toml'}; ddmi evaluate {place} measures the figures again, and "
                f"ddmi tune {place} --reset restores the options from before"
            ]
        )
