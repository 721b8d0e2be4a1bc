"""The commands that apply a trained model: `ddmi sample`, `reconstruct`, `complete` and `conditions`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ddmi_core.bounds import MOST_LEVELS
from ddmi_core.cli import options
from ddmi_core.cli.model_source import ModelSource
from ddmi_core.cli.output import check_writable, print_json, print_lines, print_page
from ddmi_core.errors import DataError, RequestError, counted
from ddmi_core.grids.sizes import parse_size
from ddmi_core.registry.single_file import is_file
from ddmi_core.settings.config import NOISE, STEPS, Export, Sampling


def sample(
    out: options.Out,
    run: options.OptionalRun = None,
    plugin: options.ShippedPlugin = "",
    n: options.Count = 16,
    seed: options.Seed = 0,
    steps: options.SamplingSteps = None,
    sampler: options.Sampler = None,
    size: options.Size = "",
    condition: options.Condition = None,
    guidance: options.Guidance = None,
    autoguidance: options.Autoguidance = None,
    file_type: options.Format = "",
    faces: options.Faces = None,
    normalised: options.Normalised = False,
    overwrite: options.Overwrite = False,
    trust: options.Trust = False,
    device: options.Device = "",
) -> None:
    """Generate signals and write them to files."""
    sampling = Sampling(
        seed=seed, sampler=sampler, steps=steps, condition=condition, guidance=guidance, autoguidance=autoguidance
    )
    source = ModelSource.checked(run, plugin)
    suffix, view = source.suffix(file_type), source.view(size)
    source.check_faces(faces)
    check_writable(out)
    model = source.load()

    from ddmi_core.runs.generate import sample_files

    export = Export(out=out, size=view, suffix=suffix, overwrite=overwrite, normalised=normalised, faces=faces)
    paths = sample_files(model, n, sampling, export)
    typer.echo(f"wrote {counted(len(paths), 'file')} to {out}")


def reconstruct(
    items: Annotated[
        list[Path],
        typer.Argument(metavar="[RUN] INPUT...", help="Folder of a run, then files.", show_default=False),
    ],
    out: options.Out,
    plugin: options.ShippedPlugin = "",
    set_: options.SetDomain = [],  # noqa: B006 - typer copies it
    size: options.Size = "",
    file_type: options.Format = "",
    faces: options.Faces = None,
    normalised: options.Normalised = False,
    overwrite: options.Overwrite = False,
    trust: options.Trust = False,
    device: options.Device = "",
) -> None:
    """Encode and decode files with a trained model."""
    run, inputs = (None, items) if plugin and not is_file(plugin) else (items[0], items[1:])
    source = ModelSource.checked(run, plugin, set_)
    if not inputs:
        raise RequestError(f"give at least one INPUT after the run: ddmi reconstruct {run} INPUT... --out {out}")
    for path in inputs:
        if not path.exists():
            raise DataError(f"input {path} does not exist")
    suffix, view = source.suffix(file_type), source.view(size)
    source.check_faces(faces)
    check_writable(out)
    model = source.load()

    from ddmi_core.runs.generate import reconstruct_files

    export = Export(out=out, size=view, suffix=suffix, overwrite=overwrite, normalised=normalised, faces=faces)
    made = reconstruct_files(model, inputs, export, source.figures())
    print_lines(line for each in made for line in each.lines())
    typer.echo(f"wrote {counted(len(made), 'file')} to {out}")


def complete(
    out: options.Out,
    items: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[RUN] [INPUT]",
            help="Folder of a run, then the file of a whole signal, which is optional with --values.",
            show_default=False,
        ),
    ] = None,
    plugin: options.ShippedPlugin = "",
    observe: Annotated[
        list[str],
        typer.Option(
            "--observe",
            metavar="REGION",
            help="Observed region: bounds that all hold, 'x<0, -0.5<y<0.5'. Repeat it for a union of regions.",
        ),
    ] = [],  # noqa: B006 - typer copies it
    hide: Annotated[
        list[str],
        typer.Option("--hide", metavar="REGION", help="Hidden region, in the same form. May be repeated."),
    ] = [],  # noqa: B006 - typer copies it
    coarse: Annotated[
        str,
        typer.Option(
            "--coarse",
            metavar="N|ROWSxCOLUMNS",
            help="Observe the means over the cells of a grid of this size, slowest axis first.",
        ),
    ] = "",
    values: Annotated[
        Path | None,
        typer.Option("--values", metavar="FILE", help="Observe the rows of a .csv or .npz table of axes and values."),
    ] = None,
    n: options.Count = 4,
    seed: options.Seed = 0,
    noise: Annotated[
        float,
        typer.Option(
            "--noise",
            metavar="N",
            help="Standard deviation of the noise of observed values; for labels, the probability of an error.",
        ),
    ] = NOISE,
    steps: Annotated[int, typer.Option("--steps", min=1, max=MOST_LEVELS, help="Noise levels.")] = STEPS,
    set_: options.SetDomain = [],  # noqa: B006 - typer copies it
    size: options.Size = "",
    file_type: options.Format = "",
    condition: options.Condition = None,
    guidance: options.Guidance = None,
    faces: options.Faces = None,
    normalised: options.Normalised = False,
    overwrite: options.Overwrite = False,
    as_json: options.Json = False,
    trust: options.Trust = False,
    device: options.Device = "",
) -> None:
    """Generate signals from partial observations: regions of a file, a coarse version, or scattered values."""
    given = list(items or [])
    run = given.pop(0) if given and not (plugin and not is_file(plugin)) else None
    coarse_cells = parse_size(coarse, "--coarse") if coarse else None
    source = ModelSource.checked(run, plugin, set_)
    suffix, view = source.suffix(file_type), source.view(size)
    source.check_faces(faces)
    if len(given) > 1:
        raise RequestError(f"expected one INPUT; got {len(given)}")
    if not given and values is None:
        raise RequestError(f"give an INPUT to observe, or --values FILE: ddmi complete {run or ''} INPUT --out {out}")
    for path in (*given, *([values] if values else [])):
        if not path.exists():
            raise DataError(f"input {path} does not exist")
    check_writable(out)
    model = source.load()

    from ddmi_core.runs.complete import Request, complete_files

    request = Request(
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
    export = Export(out=out, size=view, suffix=suffix, overwrite=overwrite, normalised=normalised, faces=faces)
    paths, figures = complete_files(model, request, export, source.figures())
    if as_json:
        print_json({**figures.to_json(), "files": [str(path) for path in paths]})
    else:
        print_lines(figures.lines())
        typer.echo(f"wrote {counted(len(paths), 'file')} to {out}")


def conditions(
    run: options.OptionalRun = None,
    plugin: options.ShippedPlugin = "",
    as_json: options.Json = False,
    trust: options.Trust = False,
    device: options.Device = "",
) -> None:
    """List values of `ddmi sample --condition`, one per line: classes, or training captions and their words.

    A model by words knows the words of its captions alone; others have a warning.
    """
    model = ModelSource.checked(run, plugin).load()

    from ddmi_core.conditions.text import Captioned

    values, words = list(model.classes) if model.diffusion.classes else [], list[str]()
    nothing = "this model was trained without conditions, so it accepts no --condition"
    if model.condition is not None:
        values = list(model.condition.examples())
        words = list(model.condition.vocabulary.words) if isinstance(model.condition, Captioned) else []
        nothing = "this model accepts texts as --condition; see the plugin's documentation"
    if as_json:
        print_json({"values": values, "words": words})
        return
    print_lines(values or [nothing])
    if words:
        print_page(["", f"{len(words)} words: {', '.join(words)}"])
