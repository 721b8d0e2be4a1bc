"""Run folders: their files, `run.toml`, and the pretrained weights of plugins, which are run folders."""

from __future__ import annotations

import json
import os
import platform
import tomllib
from collections.abc import Mapping
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

from attrs import frozen

from ddmi_core.api.domain import Domain
from ddmi_core.atomic import write_error, written_aside
from ddmi_core.errors import CheckpointError, OutputError, RequestError
from ddmi_core.registry.registry import argument
from ddmi_core.settings.config import RunConfig
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
    def plugin(self) -> Path:
        """Copy of the file that defines the domain, for a domain from a single file."""
        return self.path / "plugin.py"

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
    """The `[run]` table of `run.toml`.

    Args:
        plugin: name of the domain.
        fingerprint: of the data.
        distribution: distribution of the plugin; empty if a program registered the domain, `None` if unknown.
        version: version of the distribution.
        api_version: API version of the plugin; `None` if unknown.
        file: path of the file that defines the domain, relative to the run folder; empty for other domains.
        sha256: digest of that file.
    """

    plugin: str
    fingerprint: str
    distribution: str | None = None
    version: str = ""
    api_version: int | None = None
    file: str = ""
    sha256: str = ""


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
    raise RequestError(
        f"plugin {domain.name!r} ships no weights; train some: ddmi run --plugin {argument(domain.name)}"
    )


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


def create(folder: RunFolder, config: RunConfig, plugin: Mapping[str, str | int], fingerprint: str) -> None:
    """Claim a run folder and write its `run.toml`.

    Args:
        folder: the folder.
        config: the resolved configuration.
        plugin: the plugin's distribution, version and API version; for a domain from a file, the file and its digest.
        fingerprint: of the data.

    Raises:
        OutputError: if the folder is in use or cannot be written.
    """
    claim(folder)
    head = {"format": FORMAT, "plugin": config.plugin, **plugin, "fingerprint": fingerprint}
    versions = {"ddmi": version("ddmi"), "torch": version("torch"), "python": platform.python_version()}
    lines = ["[run]", *(f"{key} = {json.dumps(value)}" for key, value in head.items())]
    lines += ["", "[run.versions]", *(f"{key} = {json.dumps(value)}" for key, value in versions.items())]
    with written_aside(folder.toml) as aside:
        aside.write_text(dumps(config) + "\n" + "\n".join(lines) + "\n")


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
    distribution, api = head.get("distribution"), head.get("api_version")
    return RunHead(
        plugin=str(head["plugin"]),
        fingerprint=str(head.get("fingerprint", "")),
        distribution=distribution if isinstance(distribution, str) else None,
        version=str(head.get("version", "")),
        api_version=api if isinstance(api, int) else None,
        file=str(head.get("file", "")),
        sha256=str(head.get("sha256", "")),
    )


def read_config(folder: RunFolder, domain: Domain) -> RunConfig:
    """Read the stored configuration.

    Raises:
        CheckpointError: as `read_head`, or if the run belongs to another plugin.
        ConfigError: if a setting is unknown to this version.
    """
    head = read_head(folder)
    if head.plugin != domain.name:
        raise CheckpointError(f"{folder.path} is a run of plugin {head.plugin!r}, not of {domain.name!r}")
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
