"""`ddmi complete`: generate signals that agree with what is observed of one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ddmi_core.cli import options
from ddmi_core.cli.output import check_writable, print_json, print_lines
from ddmi_core.cli.source import check_source, known_view, load_model
from ddmi_core.errors import DataError, RequestError, counted


def complete(
    out: options.Out,
    items: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[RUN] [INPUT]",
            help="Folder of a run, then the file of a whole signal; with --values it may be left out.",
            show_default=False,
        ),
    ] = None,
    plugin: options.ShippedPlugin = "",
    observe: Annotated[
        list[str],
        typer.Option(
            "--observe",
            metavar="REGION",
            help="Observed part: bounds that all hold, 'x<0, -0.5<y<0.5'. Repeat it to join several.",
        ),
    ] = [],  # noqa: B006 - typer copies it
    hide: Annotated[
        list[str],
        typer.Option("--hide", metavar="REGION", help="Part that is not observed, in the same form. May be repeated."),
    ] = [],  # noqa: B006 - typer copies it
    coarse: Annotated[
        str,
        typer.Option(
            "--coarse",
            metavar="N|ROWSxCOLUMNS",
            help="Observe means over the cells of a grid of this size, slowest axis first.",
        ),
    ] = "",
    values: Annotated[
        Path | None,
        typer.Option("--values", metavar="FILE", help="Observe the rows of a .csv or .npz table of axes and values."),
    ] = None,
    n: Annotated[int, typer.Option("-n", min=1, max=options.MOST_SAMPLES, help="How many.")] = 4,
    seed: Annotated[int, typer.Option("--seed", min=0, max=2**63 - 1, help="Seed of all noise.")] = 0,
    noise: Annotated[
        float,
        typer.Option(
            "--noise",
            help="Standard deviation of the observed values' noise; for labels, the probability of a wrong one.",
        ),
    ] = 0.05,
    steps: Annotated[int, typer.Option("--steps", min=1, max=options.MOST_STEPS, help="Noise levels.")] = 32,
    size: options.Size = "",
    condition: Annotated[
        str | None, typer.Option("--condition", metavar="TEXT", help="Class or text, see `ddmi conditions`.")
    ] = None,
    guidance: Annotated[
        float | None,
        typer.Option("--guidance", min=0.0, help="Scale of guidance, 1 for none; the run's own by default."),
    ] = None,
    overwrite: options.Overwrite = False,
    as_json: options.Json = False,
) -> None:
    """Generate signals that agree with what is observed: parts of a file, a coarse version, or scattered values."""
    given = list(items or [])
    run = None if plugin else (given.pop(0) if given else None)
    coarse_cells = options.parse_size(coarse, "--coarse")
    check_source(run, plugin)
    view = known_view(run, plugin, size)
    if len(given) > 1:
        raise RequestError(f"one INPUT is completed at a time, not {len(given)}")
    if not given and values is None:
        raise RequestError(f"give an INPUT to observe, or --values FILE: ddmi complete {run or ''} INPUT --out {out}")
    for path in (*given, *([values] if values else [])):
        if not path.exists():
            raise DataError(f"input {path} does not exist")
    check_writable(out)
    model = load_model(run, plugin)

    from ddmi_core.runs import completions

    request = completions.Request(
        source=given[0] if given else None,
        observe=tuple(observe),
        hide=tuple(hide),
        coarse=coarse_cells or (),
        values=values,
        n=n,
        seed=seed,
        noise=noise,
        steps=steps,
        condition=condition,
        guidance=guidance,
    )
    paths, figures = completions.complete(model, request, out, size=view, overwrite=overwrite)
    if as_json:
        print_json({**figures.to_json(), "files": [str(path) for path in paths]})
    else:
        print_lines(figures.lines())
        typer.echo(f"wrote {counted(len(paths), 'file')} to {out}")
