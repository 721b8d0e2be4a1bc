"""`ddmi export`: fields as programs for other software."""

from __future__ import annotations

from typing import Annotated

import typer

from ddmi_core.cli import options
from ddmi_core.cli.model_source import ModelSource
from ddmi_core.cli.output import check_writable
from ddmi_core.errors import counted
from ddmi_core.settings.config import Sampling


def export(
    out: options.Out,
    run: options.OptionalRun = None,
    plugin: options.ShippedPlugin = "",
    n: options.Count = 1,
    seed: options.Seed = 0,
    steps: options.SamplingSteps = None,
    sampler: options.Sampler = None,
    condition: options.Condition = None,
    guidance: options.Guidance = None,
    autoguidance: options.Autoguidance = None,
    file_type: Annotated[
        str, typer.Option("--format", metavar="pt2|onnx", help="pt2, of torch.export, or onnx, by the extra `onnx`.")
    ] = "pt2",
    overwrite: options.Overwrite = False,
    trust: options.Trust = False,
    device: options.Device = "",
) -> None:
    """Generate fields, and write each as a program from coordinates to values, for PyTorch or ONNX."""
    sampling = Sampling(
        seed=seed, sampler=sampler, steps=steps, condition=condition, guidance=guidance, autoguidance=autoguidance
    )
    source = ModelSource.checked(run, plugin)
    check_writable(out)

    from ddmi_core.runs.field_programs import check_format, export_files

    suffix = f".{file_type.lower().removeprefix('.')}"
    check_format(suffix)
    paths = export_files(source.load(), n, sampling, out, suffix, overwrite)
    typer.echo(f"wrote {counted(len(paths), 'file')} to {out}, checked against the sampled fields")
