"""Where a command's model comes from: a run, or a plugin's weights; checked before torch is imported."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ddmi_core.cli.options import parse_size
from ddmi_core.errors import CheckpointError, RequestError, unknown_name

if TYPE_CHECKING:
    from ddmi_core.api.domain import Domain
    from ddmi_core.model.model import Model


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
    from ddmi_core.model.folder import pretrained
    from ddmi_core.registry.registry import domain_named

    pretrained(domain_named(plugin))


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


def known_view(run: Path | None, plugin: str, size: str) -> Any:
    """What the renderer takes for `--size`, as the domain reads it; `None` if it is not given.

    Args:
        run: as given to `check_source`, which comes before.
        plugin: likewise.
        size: the value of `--size`.

    Raises:
        RequestError: if the domain takes no such size.
        CheckpointError: if the run cannot be read.
        PluginError: if its plugin cannot be used.
    """
    if not size:
        return None
    from ddmi_core.model.folder import RunFolder, pretrained, read_config

    domain = _domain(run, plugin)
    if not domain.parse_view:
        return parse_size(size)
    config = read_config(pretrained(domain) if run is None else RunFolder(run), domain)
    return domain.resolve(domain.parse_view)(size, config.domain)


def known_suffix(run: Path | None, plugin: str, written: str) -> str | None:
    """The suffix that `--format` asks for, with or without its dot; `None` if it is not given.

    Args:
        run: as given to `check_source`, which comes before.
        plugin: likewise.
        written: the value of `--format`.

    Raises:
        RequestError: if the domain writes no such files.
        CheckpointError: if the run cannot be read.
        PluginError: if its plugin cannot be used.
    """
    if not written:
        return None
    domain = _domain(run, plugin)
    suffix = f".{written.lower().removeprefix('.')}"
    if suffix not in domain.exporters:
        known = [known.removeprefix(".") for known in domain.exporters]
        raise RequestError(unknown_name(f"format of plugin {domain.name!r}:", suffix.removeprefix("."), known))
    return suffix


def _domain(run: Path | None, plugin: str) -> Domain:
    from ddmi_core.model.folder import RunFolder, read_head
    from ddmi_core.registry.registry import domain_named

    return domain_named(plugin if run is None else read_head(RunFolder(run)).plugin)


def load_model(run: Path | None, plugin: str) -> Model:
    """The model of a checked source."""
    from ddmi_core.model.model import load

    return load(plugin=plugin) if run is None else load(run)
