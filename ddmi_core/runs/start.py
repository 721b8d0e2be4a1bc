"""A whole run from a program: what `ddmi run` does, as a function."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from ddmi_core.registry.registry import domain_named
from ddmi_core.runs import pipeline
from ddmi_core.runs.model import Model, load
from ddmi_core.runs.settings import resolve


def run(
    plugin: str,
    out: str | Path,
    *,
    preset: str = "",
    config: str | Path | None = None,
    overrides: Sequence[str] = (),
    data: str = "",
    seed: int | None = None,
    resume: bool = False,
    console: Console | None = None,
) -> Model:
    """Train, sample and evaluate, write a report, and load the model: `ddmi run`, then `ddmi_core.load`.

    SIGINT (Ctrl-C) and SIGTERM save the state first, if this is called in the main thread.

    Args:
        plugin: name of an installed plugin, or of a domain that this program has registered.
        out: folder of the run; new or empty, unless `resume` is set.
        preset: preset to start from; the one that `config` names, or else `quick`, if left out.
        config: a TOML file of settings.
        overrides: settings as texts `key.sub=value`, as `--set` takes them; the last word.
        data: `NAME`, `NAME:PATH` or `PATH`; the domain's default if left out.
        seed: seed of every random number of the run; that of the settings if left out.
        resume: go on with the run in `out`, with its own settings.
        console: where progress and figures are shown; nowhere if left out.

    Raises:
        RequestError: if the plugin, the preset, a setting or the data cannot be used.
        OutputError: if the folder is in use or cannot be written.
        TrainingError: if a loss is not finite.
        Interrupted: after a signal; the state is saved, and `resume=True` goes on.

    Example:
        >>> import ddmi_core as ddmi
        >>> model = ddmi.run("image", "runs/faces", overrides=['domain.groups=["faces"]'])  # doctest: +SKIP
        >>> fields = model.sample(4)  # doctest: +SKIP
    """
    domain = domain_named(plugin)
    settings = resolve(domain, preset, Path(config) if config else None, overrides, data, seed)
    pipeline.run(settings, domain, Path(out), resume=resume, console=console or Console(quiet=True))
    return load(out)
