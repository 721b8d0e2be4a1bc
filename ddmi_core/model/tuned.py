"""Options of sampling that `ddmi tune` has chosen, in `[sampling]` of `run.toml`; those before, in `[run.untuned]`.

`[sampling]` acts on no stage, so the weights stay valid, and what was made from other values is stale. Both tables are
written at once.
"""

from __future__ import annotations

import shlex
import tomllib
from collections.abc import Mapping
from typing import Any

import tomli_w

from ddmi_core.atomic import written_aside
from ddmi_core.errors import RequestError
from ddmi_core.model.run_folder import RunFolder, read_head, sealed
from ddmi_core.settings.config import SamplingConfig

OPTIONS = ("sampler", "steps", "guidance", "autoguidance", "guidance_from", "guidance_to")
_UNTUNED = "untuned"


def options_of(config: SamplingConfig) -> dict[str, Any]:
    """The options of sampling that can be tuned."""
    return {name: getattr(config, name) for name in OPTIONS}


def untuned(folder: RunFolder) -> dict[str, Any]:
    """The options before the first tuning; empty if there was none, or it was reset.

    Raises:
        CheckpointError: if the folder is no run, or `run.toml` is damaged.
    """
    found = _table(folder)["run"].get(_UNTUNED)
    return {name: found[name] for name in OPTIONS if name in found} if isinstance(found, dict) else {}


def sentence(folder: RunFolder) -> str:
    """The options of a run, and those before the first tuning, for a report.

    Raises:
        CheckpointError: if the folder is no run, or `run.toml` is damaged.
    """
    before = untuned(folder)
    now = as_words({**options_of(SamplingConfig()), **_table(folder).get("sampling", {})})
    return f"{now}; chosen by ddmi tune, before: {as_words(before)}" if before else now


def apply(folder: RunFolder, values: Mapping[str, Any]) -> None:
    """Store options of sampling, and keep those of the training.

    Args:
        folder: the run.
        values: some of `OPTIONS`.

    Raises:
        CheckpointError: if the folder is no run, or `run.toml` is damaged.
        OutputError: if it cannot be written.
    """
    table = _table(folder)
    own = table.setdefault("sampling", {})
    before = {**options_of(SamplingConfig()), **own}
    table["run"].setdefault(_UNTUNED, {name: before[name] for name in OPTIONS})
    own.update(values)
    _write(folder, table)


def restore(folder: RunFolder) -> dict[str, Any]:
    """Store the options before the first tuning again, and return them.

    Raises:
        RequestError: if there was no tuning.
        CheckpointError: if the folder is no run, or `run.toml` is damaged.
        OutputError: if it cannot be written.
    """
    if not (before := untuned(folder)):
        raise RequestError(
            f"the options of sampling of {folder.path} are not tuned, so there is nothing to reset. Fix: leave out "
            f"--reset to tune them: ddmi tune {shlex.quote(str(folder.path))}"
        )
    table = _table(folder)
    del table["run"][_UNTUNED]
    table.setdefault("sampling", {}).update(before)
    _write(folder, table)
    return before


def as_words(options: Mapping[str, Any]) -> str:
    """Options as a text, `dpmpp_2m, 16 steps, autoguidance 1.5`; what is off is left out."""
    words = [str(options.get("sampler", "?")), f"{options.get('steps', '?')} steps"]
    scales = [f"{name} {options[name]:g}" for name in ("guidance", "autoguidance") if options.get(name, 1) != 1]
    low, high = options.get("guidance_from", 0), options.get("guidance_to", 1)
    return ", ".join([*words, *scales, *[f"at times {low:g} to {high:g}"] * bool(scales and (low, high) != (0, 1))])


def _table(folder: RunFolder) -> dict[str, Any]:
    read_head(folder)  # compares the checksum
    return tomllib.loads(folder.toml.read_text(encoding="utf-8"))


def _write(folder: RunFolder, table: Mapping[str, Any]) -> None:
    with written_aside(folder.toml) as aside:
        aside.write_text(sealed(tomli_w.dumps(table)), encoding="utf-8")
