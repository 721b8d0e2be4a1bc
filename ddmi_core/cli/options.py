"""Shared command-line options: help, ranges and shell completion, without importing plugins or torch."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from ddmi_core.bounds import MOST_LEVELS, MOST_SAMPLES
from ddmi_core.registry.extensions import names
from ddmi_core.settings.config import PRESETS


def plugins(incomplete: str) -> list[str]:
    """Names of usable plugins, or Python files for the beginning of a path."""
    from ddmi_core.registry.registry import listed
    from ddmi_core.registry.single_file import SUFFIX, is_file

    if is_file(incomplete):
        start = incomplete.rpartition("/")[2]
        folder = incomplete.removesuffix(start)
        found = [path for path in sorted(Path(folder).glob(f"{start}*")) if path.is_dir() or path.suffix == SUFFIX]
        return [f"{folder}{path.name}{'/' * path.is_dir()}" for path in found]
    return [record.name for record in listed() if record.usable and record.name.startswith(incomplete)]


def presets(incomplete: str) -> list[str]:
    """Names of the standard presets."""
    return [name for name in PRESETS if name.startswith(incomplete)]


def samplers(incomplete: str) -> list[str]:
    """Names of the built-in samplers."""
    return [name for name in names("samplers") if name.startswith(incomplete)]


def trackers(incomplete: str) -> list[str]:
    """Names of the built-in trackers."""
    return [name for name in names("trackers") if name.startswith(incomplete)]


def _time_factor(factor: float | None) -> float | None:
    """Set the factor for this process and those that it starts."""
    from ddmi_core.registry import limit

    if factor is not None:
        os.environ[limit.VARIABLE] = f"{factor:g}"
        limit.set_limit()
    return factor


def _device(name: str) -> str:
    """Set the device of this process and of those that it starts."""
    if name:
        os.environ["DDMI_DEVICE"] = name
    return name


def _trust(given: bool) -> bool:
    """Trust the code of runs in this process, or not."""
    from ddmi_core.registry.consent import trust

    trust(given)
    return given


Plugin = Annotated[
    str,
    typer.Option(
        "--plugin",
        metavar="NAME|FILE",
        help="Plugin, see `ddmi plugins`; or a file that defines a domain, ./mine.py.",
        autocompletion=plugins,
    ),
]
ShippedPlugin = Annotated[
    str,
    typer.Option(
        "--plugin",
        metavar="NAME|FILE",
        help="Use the weights that ship with a plugin instead of a RUN; or, with a RUN, the file of its domain.",
        autocompletion=plugins,
    ),
]
RunFile = Annotated[
    str | None,
    typer.Option("--plugin", metavar="FILE", help="File of the run's domain, for a run that was made from a file."),
]
StartedPlugin = Annotated[
    str,
    typer.Option(
        "--plugin",
        metavar="NAME|FILE",
        help="Plugin, see `ddmi plugins`; or a file that defines a domain, ./mine.py. That of the weights with --from, "
        "and that of the run with --resume.",
        autocompletion=plugins,
    ),
]
Weights = Annotated[
    str,
    typer.Option(
        "--from",
        metavar="WEIGHTS",
        help="Start both stages from finished weights, with their settings: a run, published weights, or a plugin that "
        "ships some.",
        autocompletion=plugins,
    ),
]
Preset = Annotated[
    str,
    typer.Option(
        "--preset",
        metavar="NAME",
        help="Base settings; quick, unless the configuration file names another preset.",
        autocompletion=presets,
    ),
]
Data = Annotated[
    str,
    typer.Option("--data", metavar="PATH|NAME", help="Data: a path, a source's name, or NAME:PATH."),
]
Set = Annotated[
    list[str],
    typer.Option("--set", metavar="KEY=VALUE", help="Change one setting; see `ddmi settings`. May be repeated."),
]
SamplingSteps = Annotated[
    int | None,
    typer.Option("--steps", min=1, max=MOST_LEVELS, help="Sampling steps; the run's setting by default."),
]
Sampler = Annotated[
    str | None,
    typer.Option("--sampler", metavar="NAME", help="Sampler; the run's setting by default.", autocompletion=samplers),
]
SetDomain = Annotated[
    list[str],
    typer.Option(
        "--set",
        metavar="domain.KEY=VALUE",
        help="Change a setting of the domain, such as one of how files are read. May be repeated.",
    ),
]
TimeFactor = Annotated[
    float | None,
    typer.Option(
        "--time-factor",
        min=0,
        metavar="FACTOR",
        envvar="DDMI_TIME_FACTOR",
        callback=_time_factor,
        help="Multiply all limits of CPU time, for a slow machine; 0 removes them.",
    ),
]
ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="TOML file of settings; overrides the preset, --set overrides it."),
]
Device = Annotated[
    str,
    typer.Option(
        "--device",
        metavar="NAME",
        envvar="DDMI_DEVICE",
        callback=_device,
        help="cpu, cuda, or cuda:N for one of several GPUs; by default a GPU if there is one.",
    ),
]
RunSeed = Annotated[
    int | None,
    typer.Option("--seed", min=0, max=2**63 - 1, help="Seed of all random numbers."),
]
RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run.", show_default=False)]
OptionalRun = Annotated[Path | None, typer.Argument(metavar="RUN", help="Folder of a run.", show_default=False)]
Count = Annotated[int, typer.Option("-n", min=1, max=MOST_SAMPLES, help="Number of signals.")]
Seed = Annotated[int, typer.Option("--seed", min=0, max=2**63 - 1, help="Seed of the noise.")]
Condition = Annotated[
    str | None, typer.Option("--condition", metavar="TEXT", help="Class or text; see `ddmi conditions`.")
]
Guidance = Annotated[
    float | None,
    typer.Option("--guidance", min=0.0, help="Guidance scale, 1 for none; the run's setting by default."),
]
Autoguidance = Annotated[
    float | None,
    typer.Option(
        "--autoguidance",
        min=0.0,
        help="Scale of autoguidance, 1 for none; the run's setting by default. Requires diffusion.training.snapshot.",
    ),
]
Size = Annotated[
    str,
    typer.Option(
        "--size",
        metavar="N|ROWSxCOLUMNS",
        help="Cells along each axis, slowest first: 1024 or 768x1024, or another form that the domain defines. "
        "The native size by default.",
    ),
]
Out = Annotated[
    Path,
    typer.Option("--out", metavar="DIR", help="Folder to write to; created if missing.", show_default=False),
]
Format = Annotated[
    str,
    typer.Option(
        "--format", metavar="TYPE", help="Type of the files, such as png or stl; the domain's first type by default."
    ),
]
Normalised = Annotated[
    bool,
    typer.Option("--normalised", help="Keep the model's units, position and axes instead of those of files."),
]
Faces = Annotated[
    int | None,
    typer.Option(
        "--faces", metavar="N", min=1, help="Simplify meshes to at most N triangles, by the extra `simplify`."
    ),
]
Trust = Annotated[
    bool,
    typer.Option(
        "--trust",
        callback=_trust,
        help="Run the code that the run folder has or names: its plugin.py, and networks that are programs.",
    ),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace existing files.")]
Compared = Annotated[
    Path | None,
    typer.Option("--compare", metavar="FILE", help="Compare with the result in a file of --json.", show_default=False),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
