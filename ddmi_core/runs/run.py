"""`ddmi_core.run`: a whole run from a program."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from ddmi_core.errors import RequestError
from ddmi_core.model.initial import opened
from ddmi_core.model.loading import load
from ddmi_core.model.model import Model
from ddmi_core.registry.registry import domain_named
from ddmi_core.runs.pipeline import execute
from ddmi_core.settings.resolve import resolve


def run(
    plugin: str | None,
    out: str | Path,
    *,
    preset: str = "",
    config: str | Path | None = None,
    overrides: Sequence[str] = (),
    data: str = "",
    seed: int | None = None,
    weights: str | Path = "",
    resume: bool = False,
    console: Console | None = None,
    trackers: Sequence[str] = (),
    callbacks: Sequence[str] = (),
) -> Model:
    """Train, sample and evaluate, write a report, and load the model: `ddmi run`, then `ddmi_core.load`.

    SIGINT (Ctrl-C) and SIGTERM save the state first, if this is called in the main thread.

    Args:
        plugin: name of an installed plugin, or of a domain that this program has registered; or a file that defines a
            domain, `./mine.py`. With `weights`, it may be `None`.
        out: folder of the run; new or empty, unless `resume` is set.
        preset: base settings; by default the preset of `config`, or else `quick`.
        config: a TOML file of settings.
        overrides: settings as texts `key.sub=value`, as for `--set`; they override all others.
        data: `NAME`, `NAME:PATH` or `PATH`; the domain's default source if empty.
        seed: seed of all random numbers of the run; that of the settings by default.
        weights: finished weights from which both stages start, with their settings: the folder of a run or of published
            weights, or the name of a plugin that ships some.
        resume: continue the run in `out` with its stored settings.
        console: shows progress and figures; nothing is shown by default.
        trackers: names of trackers, such as `tensorboard`, that receive the figures of training.
        callbacks: names of callbacks of extensions, called after each logged step.

    Raises:
        RequestError: if the plugin, the preset, a setting or the data cannot be used.
        OutputError: if the folder is in use or cannot be written.
        TrainingError: if a loss is not finite.
        Interrupted: after a signal; the state is saved, and `resume=True` continues the run.

    Example:
        >>> import ddmi_core as ddmi
        >>> model = ddmi.run("image", "runs/faces", overrides=['domain.groups=["faces"]'])  # doctest: +SKIP
        >>> fields = model.sample(4)  # doctest: +SKIP
        >>> mine = ddmi.run(None, "runs/mine", weights="runs/faces", data="pictures")  # doctest: +SKIP
    """
    if plugin is None and not weights:
        raise RequestError("give plugin=NAME, or weights to start from")
    initial = opened(str(weights), plugin or "") if weights else None
    domain = initial.domain if initial else domain_named(str(plugin))
    file, start = Path(config) if config else None, initial.settings if initial else None
    settings = resolve(domain, preset, file, overrides, data, seed, start)
    execute(
        settings,
        domain,
        Path(out),
        resume=resume,
        console=console or Console(quiet=True),
        trackers=trackers,
        callbacks=callbacks,
        initial=initial,
    )
    return load(out)
