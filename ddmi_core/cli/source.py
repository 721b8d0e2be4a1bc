"""Where a command's model comes from: a run, or a plugin's weights; checked before torch is imported."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ddmi_core.errors import CheckpointError, RequestError

if TYPE_CHECKING:
    from ddmi_core.runs.model import Model


def check_source(run: Path | None, plugin: str) -> None:
    """Check that exactly one of both is given and can be used.

    Raises:
        RequestError: if none or both are given, or the plugin ships no weights.
        CheckpointError: if the folder is no run.
        PluginError: if the plugin cannot be used.
    """
    if (run is None) == (not plugin):
        raise RequestError("give either the folder of a RUN or --plugin NAME" + (", not both" if plugin else ""))
    if run is not None:
        check_run(run)
        return
    from ddmi_core.registry.registry import domain_named
    from ddmi_core.runs.shipped import shipped

    shipped(domain_named(plugin))


def check_run(run: Path) -> None:
    """Check that a folder is a run.

    Raises:
        CheckpointError: if it is missing or has no `run.toml`.
    """
    if (run / "run.toml").is_file():
        return
    near = Path("runs") / run
    hint = f"; did you mean {near}?" if (near / "run.toml").is_file() else ""
    if not run.exists():
        raise CheckpointError(f"there is no run folder {run}" + (hint or "; train one with ddmi run"))
    raise CheckpointError(f"{run} is not a run: it has no run.toml" + hint)


def load_model(run: Path | None, plugin: str) -> Model:
    """The model of a checked source."""
    from ddmi_core.runs.model import load

    return load(plugin=plugin) if run is None else load(run)
