"""The commands that inspect runs and models and measure speed: `ddmi report`, `status`, `view` and `bench`."""

from __future__ import annotations

from typing import Annotated

import attrs
import typer

from ddmi_core.cli import options
from ddmi_core.cli.model_source import ModelSource, check_run
from ddmi_core.cli.output import print_json, print_lines, print_result


def report(
    run: options.RunFolder, plugin: options.RunFile = None, trust: options.Trust = False, device: options.Device = ""
) -> None:
    """Write report.html again from the files of a run."""
    check_run(run)

    from ddmi_core.report.report import build_report

    typer.echo(build_report(run, plugin))


def status(run: options.RunFolder, as_json: options.Json = False) -> None:
    """Show which steps of a run are up to date, stale, damaged or missing, and why; `--resume` makes those again."""
    check_run(run)

    from ddmi_core.model.run_folder import RunFolder
    from ddmi_core.model.run_results import chain

    found = chain(RunFolder(run))
    if as_json:
        print_json([attrs.asdict(one) for one in found])
    else:
        print_lines(f"{one.name}: {one.shown}" for one in found)


def view(
    run: options.OptionalRun = None,
    plugin: options.ShippedPlugin = "",
    port: Annotated[
        int | None,
        typer.Option("--port", min=0, max=65535, help="Port; the first free one from 8642 on by default, 0 for any."),
    ] = None,
    no_open: Annotated[bool, typer.Option("--no-open", help="Do not open a browser.")] = False,
    trust: options.Trust = False,
    device: options.Device = "",
) -> None:
    """Serve a local page to zoom, turn, play and interpolate samples, until Ctrl-C.

    Of a run that is not finished, it shows the progress: steps, losses, pictures, and the time left.

    The printed address contains a random token, without which the page answers nobody.
    """
    source = ModelSource.checked(run, plugin)

    from ddmi_core.model.run_folder import RunFolder
    from ddmi_core.viewer.server import serve

    source.domain()  # a run in progress requires it only in the end
    title, folder = (plugin, None) if run is None else (run.resolve().name, RunFolder(run))
    serve(source.load, title, port, browser=not no_open, notice=typer.echo, run=folder)


def bench(
    run: options.OptionalRun = None,
    plugin: options.ShippedPlugin = "",
    compare: options.Compared = None,
    as_json: options.Json = False,
    device: options.Device = "",
) -> None:
    """Measure the speed of this machine, and of the model of a run or a plugin on it, in half a minute.

    With --compare, print how measurements differ from those in a file of an earlier --json.
    """
    from ddmi_core.runs.bench import bench_result

    before = bench_result.read(compare) if compare else None
    if run or plugin:
        ModelSource.checked(run, plugin)

    from ddmi_core.runs.bench.bench import measure_speed

    result = measure_speed(run, plugin)
    print_result(bench_result.Comparison(result, before) if before else result, as_json)
