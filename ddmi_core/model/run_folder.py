"""Run folders: their files, `run.toml`, and the pretrained weights of plugins, which are run folders."""

from __future__ import annotations

import json
import os
import platform
import tomllib
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

from attrs import frozen

from ddmi_core.api.domain import Domain
from ddmi_core.atomic import write_error, written_aside
from ddmi_core.errors import CheckpointError, OutputError, PluginError, RequestError
from ddmi_core.registry.extensions import names, offer
from ddmi_core.registry.records import KINDS
from ddmi_core.registry.registry import domain_named
from ddmi_core.settings.config import RunConfig, named_parts
from ddmi_core.settings.resolve import dumps, loads

FORMAT = 1


@frozen
class RunFolder:
    """Paths inside a run folder."""

    path: Path

    @property
    def toml(self) -> Path:
        """Resolved configuration, seed, versions and data fingerprint."""
        return self.path / "run.toml"

    @property
    def log(self) -> Path:
        """One JSON record per logging step."""
        return self.path / "log.jsonl"

    @property
    def autoencoder(self) -> Path:
        """Checkpoints of stage 1."""
        return self.path / "autoencoder"

    @property
    def latents(self) -> Path:
        """The latent cache."""
        return self.path / "latents"

    @property
    def denoiser(self) -> Path:
        """Checkpoints of stage 2."""
        return self.path / "denoiser"

    @property
    def samples(self) -> Path:
        """Rendered samples."""
        return self.path / "samples"

    @property
    def metrics(self) -> Path:
        """Figures with their protocols."""
        return self.path / "metrics.json"

    @property
    def report(self) -> Path:
        """The report page."""
        return self.path / "report.html"


@frozen
class RunHead:
    """The `[run]` table of `run.toml`."""

    plugin: str
    fingerprint: str


def pretrained(domain: Domain) -> RunFolder:
    """The folder of the weights that ship with a domain's plugin.

    Raises:
        RequestError: if there are none.
    """
    package, _, name = domain.weights.partition(":")
    if package:
        folder = RunFolder(Path(str(files(package).joinpath(name))))
        if folder.toml.is_file():
            return folder
    raise RequestError(f"plugin {domain.name!r} ships no weights; train some: ddmi run --plugin {domain.name}")


def is_empty(folder: RunFolder) -> bool:
    """Whether the folder exists and is empty, except for a partial `run.toml` of an interrupted start."""
    return folder.path.is_dir() and all(inside.name.startswith(".partial-") for inside in folder.path.iterdir())


def claim(folder: RunFolder) -> None:
    """Create the folder of a new run, or check that it is empty.

    Raises:
        OutputError: if the folder is in use or cannot be written.
    """
    path = folder.path
    try:
        if path.exists() and not path.is_dir():
            raise OutputError(f"{path} is a file; choose another --out folder")
        path.mkdir(parents=True, exist_ok=True)
        if folder.toml.exists():
            raise OutputError(f"{path} already holds a run; continue it with --resume, or choose another --out folder")
        if not is_empty(folder):
            raise OutputError(f"{path} is neither empty nor a run; choose another --out folder")
    except OSError as error:
        raise write_error(path, error) from error
    if not os.access(path, os.W_OK):
        raise OutputError(f"no permission to write {path}; choose another --out folder")


def create(folder: RunFolder, config: RunConfig, fingerprint: str) -> None:
    """Claim a run folder and write its `run.toml`.

    Raises:
        OutputError: if the folder is in use or cannot be written.
    """
    claim(folder)
    head = {
        "format": FORMAT,
        "plugin": config.plugin,
        "fingerprint": fingerprint,
        "versions": {
            "ddmi": version("ddmi"),
            "torch": version("torch"),
            "python": platform.python_version(),
        },
    }
    lines = ["[run]", *(f"{key} = {json.dumps(value)}" for key, value in head.items() if key != "versions")]
    if provided := _provided(config):
        lines += ["", "[run.extensions]", *provided]
    lines += ["", "[run.versions]", *(f"{k} = {json.dumps(v)}" for k, v in head["versions"].items())]  # type: ignore[attr-defined]
    with written_aside(folder.toml) as aside:
        aside.write_text(dumps(config) + "\n" + "\n".join(lines) + "\n")


def _provided(config: RunConfig) -> list[str]:
    """The parts that are not built in, with the distributions that provide them, as lines of TOML."""
    used = dict.fromkeys((kind, name) for _, kind, name in named_parts(config) if name not in names(kind))
    domain = domain_named(config.plugin) if used else None
    found = (offer(kind, name, domain) for kind, name in used)
    return [
        f"{own.kind}.{own.name} = {json.dumps(f'{own.record.distribution}=={own.record.version}')}" for own in found
    ]


def _check_extensions(folder: RunFolder, provided: dict[str, dict[str, str]], domain: Domain) -> None:
    """Check that the parts that a run uses of extensions are there.

    Raises:
        PluginError: names the distribution that provided a missing one.
    """
    for kind, requirements in provided.items():
        for name, requirement in requirements.items():
            try:
                offer(kind, name, domain)
            except PluginError as error:
                raise PluginError(f"{folder.path} uses a part of {requirement}: {error}") from error.__cause__
            except RequestError as error:
                raise PluginError(
                    f"{folder.path} uses the {KINDS[kind]} {name!r} of {requirement}, which is not available. "
                    f"Fix: pip install {requirement}"
                ) from error.__cause__


def read_head(folder: RunFolder) -> RunHead:
    """Read the `[run]` table.

    Raises:
        CheckpointError: if the folder is not a run, is damaged, or comes from a newer version.
    """
    head = _table(folder).get("run", {})
    found = head.get("format")
    if not isinstance(found, int) or "plugin" not in head:
        raise CheckpointError(f"{folder.toml} has no complete [run] table, so it does not describe a run")
    if found > FORMAT:
        made = head.get("versions", {}).get("ddmi", "unknown")
        raise CheckpointError(
            f"{folder.path} was written by ddmi {made} in format {found}; this version reads up to {FORMAT}: "
            "install a newer ddmi"
        )
    return RunHead(str(head["plugin"]), str(head.get("fingerprint", "")))


def read_config(folder: RunFolder, domain: Domain) -> RunConfig:
    """Read the stored configuration.

    Raises:
        CheckpointError: as `read_head`, or if the run belongs to another plugin.
        PluginError: if an extension that it uses is missing.
        ConfigError: if a setting is unknown to this version.
    """
    head = read_head(folder)
    if head.plugin != domain.name:
        raise CheckpointError(f"{folder.path} is a run of plugin {head.plugin!r}, not of {domain.name!r}")
    if provided := _table(folder)["run"].get("extensions"):
        _check_extensions(folder, provided, domain)
    return loads(domain, folder.toml.read_text(), str(folder.toml))


def _table(folder: RunFolder) -> dict[str, Any]:
    if not folder.path.is_dir():
        raise CheckpointError(f"there is no run folder {folder.path}")
    if not folder.toml.exists():
        raise CheckpointError(f"{folder.path} is not a run: it has no run.toml; give the folder of one")
    try:
        return tomllib.loads(folder.toml.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{folder.toml} is damaged: {error}") from error
