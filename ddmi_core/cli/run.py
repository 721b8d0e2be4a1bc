"""`ddmi run`: the main job, from data to report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ddmi_core.cli import options
from ddmi_core.cli.output import check_writable, print_json


def run(
    plugin: options.Plugin,
    preset: options.Preset = "",
    data: options.Data = "",
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Folder of the run; runs/NAME by default.")
    ] = None,
    sets: options.Set = [],  # noqa: B006 - typer copies it
    seed: options.RunSeed = None,
    config: options.ConfigFile = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a run that was stopped.")] = False,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Write losses for TensorBoard as well; needs ddmi[tensorboard].")
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Train, sample and evaluate on one data set, and write a report.

    Progress and figures are shown on standard error. Standard output has the path of the report, or with --json the
    figures with their protocols, as in metrics.json.
    """
    from ddmi_core.cli.configure import configured

    folder = out or Path("runs") / plugin
    check_writable(folder)
    domain, settings = configured(plugin, preset, config, sets, data, seed)

    from rich.console import Console

    from ddmi_core.runs import pipeline
    from ddmi_core.runs.figures import Evaluation
    from ddmi_core.runs.folder import RunFolder
    from ddmi_core.training.processes import is_main

    console = Console(stderr=True)
    report = pipeline.run(settings, domain, folder, resume=resume, console=console, tensorboard=tensorboard)
    if not is_main():
        return
    if as_json:
        print_json(Evaluation.load(RunFolder(folder).metrics).to_json())
    else:
        typer.echo(report)
