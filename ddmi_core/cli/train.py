"""The commands of training: `ddmi run`, `ddmi settings` and `ddmi data`."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ddmi_core.cli import options
from ddmi_core.cli.output import check_writable, print_json, print_page, print_result, print_wrapped
from ddmi_core.errors import RequestError
from ddmi_core.progress import doing
from ddmi_core.registry.single_file import is_file

if TYPE_CHECKING:
    from ddmi_core.api.domain import Domain
    from ddmi_core.model.initial import InitialWeights
    from ddmi_core.settings.config import RunConfig
    from ddmi_core.settings.resolve import WeightsSettings

_OWN_OPTIONS = ("plugin", "preset")

# What torchrun and SLURM set, above 0, when they start a command again.
_RESTARTS = ("TORCHELASTIC_RESTART_COUNT", "SLURM_RESTART_COUNT")

data_app = typer.Typer(no_args_is_help=True, help="Inspect data before training.")


def run(
    plugin: options.StartedPlugin = "",
    weights: options.Weights = "",
    preset: options.Preset = "",
    data: options.Data = "",
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Folder of the run; runs/NAME by default.")
    ] = None,
    sets: options.Set = [],  # noqa: B006 - typer copies it
    seed: options.RunSeed = None,
    config: options.ConfigFile = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue a stopped run.")] = False,
    tracker: Annotated[
        list[str],
        typer.Option(
            "--tracker",
            metavar="NAME",
            help="Pass the figures of training to a tracker as well: tensorboard, wandb, mlflow or trackio, which "
            "require ddmi[tensorboard], ddmi[wandb], ddmi[mlflow] or ddmi[trackio], or one of an extension. May be "
            "repeated.",
            autocompletion=options.trackers,
        ),
    ] = [],  # noqa: B006 - typer copies it
    callback: Annotated[
        list[str],
        typer.Option("--callback", metavar="NAME", help="Call a callback of an extension after each logged step."),
    ] = [],  # noqa: B006 - typer copies it
    as_json: options.Json = False,
    trust: options.Trust = False,
    device: options.Device = "",
) -> None:
    """Train, sample and evaluate on one data set, and write a report.

    Progress and figures go to standard error. Standard output contains the path of the report, or with --json the
    figures with their protocols, as in metrics.json. When torchrun or SLURM starts it again after a failure, it
    continues as with --resume.

    With --from, training starts from finished weights, with their networks and a tenth of their steps.
    """
    resume = resume or started_again()
    initial = _initial(weights, plugin) if weights else None
    folder = out or Path("runs") / _name(plugin, initial)
    check_writable(folder)
    if started_again():
        folder.mkdir(parents=True, exist_ok=True)
    domain = initial.domain if initial else _domain(plugin, folder if resume else None)
    start = initial.settings if initial else None
    domain, settings = configured(domain, preset, config, sets, data, seed, start)

    from rich.console import Console

    with doing("loading the engine"):
        from ddmi_core.evaluation.results import Evaluation
        from ddmi_core.model.run_folder import RunFolder
        from ddmi_core.runs import pipeline
        from ddmi_core.training.distributed import is_main

    console = Console(stderr=True)
    report = pipeline.execute(
        settings,
        domain,
        folder,
        resume=resume,
        console=console,
        trackers=tracker,
        callbacks=callback,
        initial=initial,
    )
    if not is_main():
        return
    if as_json:
        print_json(Evaluation.load(RunFolder(folder).metrics).to_json())
    else:
        typer.echo(report)


def started_again() -> bool:
    """Whether a launcher repeats this command after a failure, or a cluster after it took the machine away."""
    return any(os.environ.get(name, "0").strip() not in ("", "0") for name in _RESTARTS)


def settings(
    plugin: options.Plugin,
    preset: options.Preset = "",
    config: options.ConfigFile = None,
    sets: options.Set = [],  # noqa: B006 - typer copies it
    toml: Annotated[bool, typer.Option("--toml", help="Print TOML for --config.")] = False,
    as_json: options.Json = False,
) -> None:
    """List the settings for --set and --config, with the values of a preset."""
    _, resolved = configured(plugin, preset, config, sets)

    from ddmi_core.settings.resolve import dumps, keys

    if toml:
        typer.echo(dumps(resolved), nl=False)
        return
    rows = [row for row in keys(resolved) if row.key not in _OWN_OPTIONS]
    if as_json:
        print_json(
            [{"key": row.key, "value": _plain(row.default), "takes": row.takes, "summary": row.summary} for row in rows]
        )
        return

    for row in rows:
        value = _plain(row.default)
        shown = value if isinstance(value, str) else "" if value is None else json.dumps(value)
        typer.echo(f"{typer.style(row.key, bold=True)} = {shown}".rstrip())
        print_wrapped(f"{row.summary} Takes {row.takes}.".lstrip(), indent=4)


def _plain(value: Any) -> Any:
    """A JSON value: tuples as lists, enumerations as their values."""
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if isinstance(value, int | float | str | bool | None) else getattr(value, "value", str(value))


@data_app.callback()
def _group() -> None:
    """Inspect data before training."""


@data_app.command()
def check(
    data: Annotated[
        str, typer.Argument(metavar="PATH|NAME", help="Data, as for `ddmi run --data`; see `ddmi data sources`.")
    ],
    plugin: options.Plugin,
    preset: options.Preset = "",
    sets: options.Set = [],  # noqa: B006 - typer copies it
    config: options.ConfigFile = None,
    every: Annotated[bool, typer.Option("--all", help="Print all names of files, not the first of each kind.")] = False,
    as_json: options.Json = False,
) -> None:
    """Load a data set as training does, and print what was taken, left out and changed, with warnings and errors."""
    domain, settings = configured(plugin, preset, config, sets, data)

    from ddmi_core.errors import DataError
    from ddmi_core.model.data import check_data
    from ddmi_core.parts.domain_parts import build_parts
    from ddmi_core.runs.rehearsal import try_metrics

    parts = build_parts(domain, settings.domain)
    found = check_data(parts, settings, partial(try_metrics, parts, settings))
    if as_json:
        print_json(found.to_json())
    else:
        print_page(found.lines(every))
    if found.error:
        raise DataError(found.error)


@data_app.command("sources")
def list_sources(plugin: options.Plugin, as_json: options.Json = False) -> None:
    """List the data sources of a plugin, with their `--data` values."""
    from ddmi_core.model import data
    from ddmi_core.parts.domain_parts import build_parts

    domain, settings = configured(plugin)
    print_result(data.list_sources(build_parts(domain, settings.domain)), as_json)


def configured(
    plugin: Domain | str,
    preset: str = "",
    config: Path | None = None,
    sets: Sequence[str] = (),
    data: str = "",
    seed: int | None = None,
    weights: WeightsSettings | None = None,
) -> tuple[Domain, RunConfig]:
    """The domain, or the one with a name or of a file, and the configuration resolved from the options.

    Raises:
        RequestError: if the plugin, the preset, the file or a setting is wrong.
    """
    domain = _domain(plugin) if isinstance(plugin, str) else plugin
    with doing("loading the plugin"):
        from ddmi_core.settings.resolve import resolve  # imports torch

        return domain, resolve(domain, preset, config, sets, data, seed, weights)


@doing("loading the plugin")  # and torch
def _initial(weights: str, plugin: str) -> InitialWeights:
    from ddmi_core.model.initial import opened

    return opened(weights, plugin)


def _name(plugin: str, initial: InitialWeights | None) -> str:
    """The name of the domain; that of a plugin is not looked up."""
    if initial:
        return initial.domain.name
    return _domain(plugin).name if is_file(plugin) or not plugin else plugin


def _domain(plugin: str, resumed: Path | None = None) -> Domain:
    """The domain for a value of `--plugin`; that of a resumed run if it has the name, or none is given."""
    from ddmi_core.registry.registry import domain_named

    if resumed is None or not (resumed / "run.toml").is_file():
        if not plugin:
            known = ", ".join(options.plugins("")) or "none is installed"
            raise RequestError(f"give --plugin NAME ({known}), or finished weights to start from: --from WEIGHTS")
        return domain_named(plugin)

    from ddmi_core.model.run_folder import RunFolder
    from ddmi_core.model.run_plugin import domain_of

    domain = domain_of(RunFolder(resumed), plugin if is_file(plugin) else "")
    return domain if is_file(plugin) or plugin in ("", domain.name) else domain_named(plugin)
