"""Shared command-line options: help, ranges and shell completion, without importing plugins or torch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ddmi_core.errors import RequestError
from ddmi_core.registry.extensions import names
from ddmi_core.settings.config import PRESETS

LARGEST_SIDE = 65_536
MOST_SAMPLES = 100_000
MOST_STEPS = 100_000


def plugins(incomplete: str) -> list[str]:
    """Names of usable plugins."""
    from ddmi_core.registry.registry import listed

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


Plugin = Annotated[
    str,
    typer.Option("--plugin", metavar="NAME", help="Plugin; see `ddmi plugins`.", autocompletion=plugins),
]
ShippedPlugin = Annotated[
    str,
    typer.Option(
        "--plugin",
        metavar="NAME",
        help="Use the weights that ship with a plugin instead of a RUN.",
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
ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="TOML file of settings; overrides the preset, --set overrides it."),
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
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace existing files.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def parse_size(text: str, option: str = "--size") -> tuple[int, ...] | None:
    """Cells along each axis from `1024` or `768x1024`; `None` from an empty text.

    Raises:
        RequestError: if it has another form, or a number is zero or too large.
    """
    if not text:
        return None
    parts = text.lower().split("x")
    if not all(part.isascii() and part.isdigit() for part in parts):
        raise RequestError(
            f"{option} {text} is not a size; use whole numbers joined by x, slowest axis first: 1024 or 768x1024"
        )
    if any(len(part) > 9 or not 1 <= int(part) <= LARGEST_SIDE for part in parts):
        raise RequestError(f"{option} {text} is out of range; each number must be from 1 to {LARGEST_SIDE}")
    return tuple(map(int, parts))
