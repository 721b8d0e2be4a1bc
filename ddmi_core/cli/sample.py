"""`ddmi sample`: generate signals with a trained model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ddmi_core.cli import completion, options
from ddmi_core.cli.output import check_writable
from ddmi_core.cli.source import check_source, known_suffix, known_view, load_model
from ddmi_core.errors import counted
from ddmi_core.runs.names import known_sampler


def sample(
    out: options.Out,
    run: Annotated[Path | None, typer.Argument(metavar="RUN", help="Folder of a run.", show_default=False)] = None,
    plugin: options.ShippedPlugin = "",
    n: Annotated[int, typer.Option("-n", min=1, max=options.MOST_SAMPLES, help="How many.")] = 16,
    seed: Annotated[int, typer.Option("--seed", min=0, max=2**63 - 1, help="Seed of the noise.")] = 0,
    steps: Annotated[
        int | None,
        typer.Option("--steps", min=1, max=options.MOST_STEPS, help="Sampling steps; the run's own by default."),
    ] = None,
    sampler: Annotated[
        str | None,
        typer.Option(
            "--sampler",
            metavar="NAME",
            help="Sampler; the run's own by default.",
            autocompletion=completion.samplers,
        ),
    ] = None,
    size: options.Size = "",
    condition: Annotated[
        str | None, typer.Option("--condition", metavar="TEXT", help="Class or text, see `ddmi conditions`.")
    ] = None,
    guidance: Annotated[
        float | None,
        typer.Option("--guidance", min=0.0, help="Scale of guidance, 1 for none; the run's own by default."),
    ] = None,
    file_type: options.Format = "",
    overwrite: options.Overwrite = False,
) -> None:
    """Generate signals and write them as files."""
    if sampler is not None:
        known_sampler(sampler)
    check_source(run, plugin)
    suffix, view = known_suffix(run, plugin, file_type), known_view(run, plugin, size)
    check_writable(out)
    model = load_model(run, plugin)

    from ddmi_core.runs import produce

    paths = produce.sample(
        model,
        n,
        seed=seed,
        steps=steps,
        sampler=sampler,
        size=view,
        condition=condition,
        guidance=guidance,
        suffix=suffix,
        out=out,
        overwrite=overwrite,
    )
    typer.echo(f"wrote {counted(len(paths), 'file')} to {out}")
