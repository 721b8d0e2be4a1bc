"""Run folders: their files, `run.toml`, and the pretrained weights of plugins, which are run folders."""

from __future__ import annotations

import json
import os
import platform
import re
import shlex
import time
import tomllib
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeGuard

from attrs import asdict, fields_dict, frozen

from ddmi_core import record_files
from ddmi_core.api.domain import Domain
from ddmi_core.atomic import PARTIAL, write_error, written_aside
from ddmi_core.errors import CheckpointError, ConfigError, OutputError, PluginError, RequestError
from ddmi_core.model.folder_lock import PREFIX
from ddmi_core.registry.extensions import names, offer
from ddmi_core.registry.records import KINDS
from ddmi_core.registry.registry import argument, domain_named
from ddmi_core.settings.config import RunConfig, named_parts
from ddmi_core.settings.resolve import dumps, loads
from ddmi_core.training.checkpoint import FINAL, finished

FORMAT = 1
LARGEST = 16 << 20  # bytes of run.toml
LONGEST = 255  # bytes of the name of a file
_INCOMPLETE = " has no complete [run] table, so it does not describe a run"
_PLAIN = re.compile(r"[A-Za-z0-9._+!-]*")
_STEP = re.compile(r"[0-9]{8,12}")
_NAME = re.compile(r"[a-z][a-z0-9_-]*")  # of a domain


@frozen
class RunFolder:
    """Paths inside a run folder."""

    path: Path

    @property
    def toml(self) -> Path:
        """Resolved configuration, seed, versions and data fingerprint."""
        return self.path / "run.toml"

    @property
    def data(self) -> Path:
        """Account of the data: files taken and left out, and what the reader changed in each signal."""
        return self.path / "data.json"

    @property
    def plugin(self) -> Path:
        """Copy of the file that defines the domain, for a domain from a single file."""
        return self.path / "plugin.py"

    @property
    def initial(self) -> Path:
        """Copy of the finished weights from which the run has started, itself a run folder."""
        return self.path / "initial"

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
    def paper_metrics(self) -> Path:
        """Figures by the protocol of the paper."""
        return self.path / "metrics-paper.json"

    @property
    def tuning(self) -> Path:
        """Options of sampling that were tried, with their figures."""
        return self.path / "tuning.json"

    @property
    def results(self) -> Path:
        """What samples, figures and report were made from."""
        return self.path / "results.json"

    @property
    def evaluation(self) -> Path:
        """Parts of an evaluation that is not finished."""
        return self.path / "evaluation"

    @property
    def report(self) -> Path:
        """The report page."""
        return self.path / "report.html"

    @property
    def previews(self) -> Path:
        """Pictures of the stages in training, such as `autoencoder-00000400.png` after 400 steps."""
        return self.path / "previews"

    def preview(self, stage: str, step: int) -> Path:
        """The picture of a stage after so many steps."""
        return self.previews / f"{stage}-{step:08d}.png"

    def previews_of(self, stage: str) -> dict[int, Path]:
        """The pictures of a stage by step, from early to late; other files are left out."""
        named = {path.name: path for path in self.previews.glob(f"{stage}-*.png")}
        digits = (name.removeprefix(f"{stage}-").removesuffix(".png") for name in named)
        steps = sorted(int(number) for number in digits if _STEP.fullmatch(number))
        return {step: path for step in steps if (path := named.get(self.preview(stage, step).name))}


@frozen
class Begun:
    """The `[run.from]` table of `run.toml`: the finished weights from which a run has started.

    Args:
        weights: their name: a plugin, or the last part of the path of their folder.
        autoencoder: digest of the weights of stage 1.
        denoiser: digest of those of stage 2.
        fingerprint: of their data.
        license: their licence, as their model card states it; empty if it does not.
    """

    weights: str
    autoencoder: str
    denoiser: str
    fingerprint: str
    license: str = ""

    def __str__(self) -> str:
        """For cards and reports."""
        return f"{self.weights} (autoencoder {self.autoencoder[:12]}, denoiser {self.denoiser[:12]})"


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
        begun: the weights from which the run has started; `None` for random ones.
    """

    plugin: str
    fingerprint: str
    distribution: str | None = None
    version: str = ""
    api_version: int | None = None
    file: str = ""
    sha256: str = ""
    begun: Begun | None = None

    @property
    def requirement(self) -> str:
        """What pip installs, `ddmi-sphere==0.1.0`; empty if the distribution is unknown."""
        return f"{self.distribution}=={self.version}" if self.distribution and self.version else self.distribution or ""


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
    """Whether the folder exists and is empty, except for a lock and a partial `run.toml` of an interrupted start."""
    left = (PARTIAL, PREFIX)
    return folder.path.is_dir() and all(inside.name.startswith(left) for inside in folder.path.iterdir())


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


def create(
    folder: RunFolder,
    config: RunConfig,
    plugin: Mapping[str, str | int],
    fingerprint: str,
    begun: Begun | None = None,
) -> None:
    """Claim a run folder and write its `run.toml`.

    Args:
        folder: the folder.
        config: the resolved configuration.
        plugin: the plugin's distribution, version and API version; for a domain from a file, the file and its digest.
        fingerprint: of the data.
        begun: the weights from which the run starts; `None` for random ones.

    Raises:
        OutputError: if the folder is in use or cannot be written.
    """
    claim(folder)
    head = {"format": FORMAT, "plugin": config.plugin, **plugin, "fingerprint": fingerprint}
    versions = {"ddmi": version("ddmi"), "torch": version("torch"), "python": platform.python_version()}
    lines = ["[run]", *_lines(head)]
    if begun is not None:
        lines += ["", "[run.from]", *_lines(asdict(begun))]
    if provided := _provided(config):
        lines += ["", "[run.extensions]", *provided]
    lines += ["", "[run.versions]", *_lines(versions)]
    with written_aside(folder.toml) as aside:
        aside.write_text(sealed(dumps(config) + "\n" + "\n".join(lines) + "\n"), encoding="utf-8")


def _lines(table: Mapping[str, str | int]) -> list[str]:
    return [f"{key} = {json.dumps(value)}" for key, value in table.items()]


def sealed(text: str) -> str:
    """The text of a `run.toml` with its checksum, as the first key of `[run]`.

    It is that of all other keys; comments and spaces do not matter.
    """
    table = tomllib.loads(text)
    if record_files.CHECKSUM in table["run"]:
        text = re.sub(r"(?ms)^(\[run\][^\n]*$.*?)^checksum *=[^\n]*\n", r"\1", text, count=1)
    return re.sub(r"(?m)^\[run\][^\n]*$", f'[run]\nchecksum = "{_checksum(table)}"', text, count=1)


def _checksum(table: Mapping[str, Any]) -> str:
    head = {key: value for key, value in table["run"].items() if key != record_files.CHECKSUM}
    return record_files.checksum({**table, "run": head})


def accept(folder: RunFolder) -> None:
    """Give an edited `run.toml` a new checksum, because the edit was made on purpose.

    Raises:
        CheckpointError: if it does not describe a run.
        OutputError: if it cannot be written.
    """
    found = isinstance(_parsed(folder).get("run"), dict)
    text = sealed(folder.toml.read_text(encoding="utf-8")) if found else ""
    if record_files.CHECKSUM not in tomllib.loads(text).get("run", {}):
        raise CheckpointError(f"{folder.toml}{_INCOMPLETE}")
    with written_aside(folder.toml) as aside:
        aside.write_text(text, encoding="utf-8")


def _provided(config: RunConfig) -> list[str]:
    """The parts that are not built in, with the distributions that provide them, as lines of TOML."""
    used = dict.fromkeys((kind, name) for _, kind, name in named_parts(config) if name not in names(kind))
    domain = domain_named(config.plugin) if used else None
    found = (offer(kind, name, domain) for kind, name in used)
    return [
        f"{own.kind}.{own.name} = {json.dumps(f'{own.record.distribution}=={own.record.version}')}" for own in found
    ]


def check_extensions(folder: RunFolder, domain: Domain, *, sampling: bool = False) -> None:
    """Check that the parts that a run uses of extensions are there.

    Args:
        folder: the run.
        domain: its domain.
        sampling: whether to leave out parts that evaluations alone use.

    Raises:
        PluginError: names the distribution that provided a missing one.
        CheckpointError: if the table of extensions is damaged.
    """
    table = _table(folder)
    provided, own = table["run"].get("extensions", {}), table.get("sampling")
    sampler = own.get("sampler") if isinstance(own, dict) else None
    if not isinstance(provided, dict):
        raise CheckpointError(f"{folder.toml}: [run.extensions] is not a table")
    for kind, requirements in provided.items():
        if kind not in KINDS or not isinstance(requirements, dict):
            raise CheckpointError(f"{folder.toml}: [run.extensions] has no kind {kind!r} with names and distributions")
        for name, made_with in requirements.items():
            if sampling and (kind in ("metrics", "features") or (kind == "samplers" and name != sampler)):
                continue
            requirement = str(made_with)
            if not _PLAIN.fullmatch(requirement.replace("==", "")):
                requirement = "an unknown distribution"
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
    head = _table(folder).get("run")
    found = head.get("format") if isinstance(head, dict) else None
    if not isinstance(head, dict) or not _is_format(found) or not _NAME.fullmatch(_text(head.get("plugin"))):
        raise CheckpointError(f"{folder.toml}{_INCOMPLETE}")
    if found > FORMAT:
        versions = head.get("versions")
        made = versions.get("ddmi", "unknown") if isinstance(versions, dict) else "unknown"
        raise CheckpointError(
            f"{folder.path} was written by ddmi {made} in format {found}; this version reads up to {FORMAT}: "
            "install a newer ddmi"
        )
    # A run may come from elsewhere, and messages show both in a command: other characters make them unknown.
    distribution, made, file, sha256 = (_text(head.get(key)) for key in ("distribution", "version", "file", "sha256"))
    if not file.isprintable() or any(len(part.encode()) > LONGEST for part in Path(file).parts):
        raise CheckpointError(f"{folder.toml} is damaged: file={file[:40]!r} is not the path of a file")
    known = "distribution" in head and _PLAIN.fullmatch(distribution + made) is not None
    api, begun = head.get("api_version"), head.get("from")
    return RunHead(
        plugin=str(head["plugin"]),
        fingerprint=_text(head.get("fingerprint")),
        distribution=distribution if known else None,
        version=made if known else "",
        api_version=api if isinstance(api, int) else None,
        file=file,
        sha256=sha256,
        begun=Begun(*(_shown(begun.get(name)) for name in fields_dict(Begun))) if isinstance(begun, dict) else None,
    )


def _shown(value: object) -> str:
    return "".join(filter(str.isprintable, _text(value)))[:LONGEST]


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _is_format(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and 0 <= value < 2**31


def read_config(folder: RunFolder, domain: Domain, overrides: Sequence[str] = ()) -> RunConfig:
    """Read the stored configuration, with other settings of the domain by texts `domain.key=value`.

    Raises:
        CheckpointError: as `read_head`, or if the run belongs to another plugin.
        PluginError: if an extension that sampling uses is missing; see `check_extensions` for the others.
        ConfigError: if a setting is unknown to this version of ddmi or of the plugin.
    """
    head = read_head(folder)
    if head.plugin != domain.name:
        raise CheckpointError(f"{folder.path} is a run of plugin {head.plugin!r}, not of {domain.name!r}")
    check_extensions(folder, domain, sampling=True)
    try:
        return loads(domain, folder.toml.read_text(encoding="utf-8"), str(folder.toml), overrides)
    except ConfigError as error:
        if not error.key.startswith("domain.") or overrides:
            raise
        made = f" ({head.distribution} {head.version})" if head.distribution and head.version else ""
        raise ConfigError(
            f"{error}. The run was made with other settings of plugin {domain.name!r}. Fix: use the version of the "
            f"plugin that made it{made}, or train again",
            error.key,
        ) from error.__cause__


def resume_command(folder: RunFolder) -> str:
    """The command that continues a run.

    Raises:
        CheckpointError: if the folder is no run.
    """
    return f"ddmi run --plugin {argument(read_head(folder).plugin)} --out {shlex.quote(str(folder.path))} --resume"


def check_finished(folder: RunFolder) -> None:
    """Check that both stages of a run are trained.

    Raises:
        CheckpointError: if one is missing, with the command that completes it; or if the folder is no run.
    """
    for stage in (folder.autoencoder, folder.denoiser):
        if not finished(stage):
            raise CheckpointError(
                f"{folder.path} is not finished: {stage.name}/{FINAL} is missing, and a model needs both stages. Fix: "
                f"if its training is still running{_last_record(folder)}, wait for its end; if it was stopped, "
                f"continue it with {resume_command(folder)}"
            )


def _last_record(folder: RunFolder) -> str:
    """When the log was written; nothing without a log."""
    if not folder.log.is_file():
        return ""
    seconds = max(0, round(time.time() - folder.log.stat().st_mtime))
    ago = f"{seconds} s" if seconds < 120 else f"{seconds // 60} min" if seconds < 7200 else f"{seconds // 3600} h"
    return f" (the last record of its log is {ago} old)"


def _table(folder: RunFolder) -> dict[str, Any]:
    table = _parsed(folder)
    try:
        same = not isinstance(head := table.get("run"), dict) or head.get(record_files.CHECKSUM) == _checksum(table)
    except (ValueError, RecursionError) as error:  # a hexadecimal number may have too many digits
        raise CheckpointError(f"{folder.toml} is damaged: {error}") from error
    if not same:
        raise CheckpointError(
            f"{folder.toml} was edited or damaged: it does not have its checksum. Fix: restore it; or, if the edit was "
            f"made on purpose, accept it with ddmi doctor {shlex.quote(str(folder.path))} --accept"
        )
    return table


def _parsed(folder: RunFolder) -> dict[str, Any]:
    if not folder.path.is_dir():
        raise CheckpointError(f"there is no run folder {folder.path}; train one with ddmi run")
    if not folder.toml.exists():
        raise CheckpointError(f"{folder.path} is not a run: it has no run.toml; give the folder of one")
    try:
        return tomllib.loads(record_files.read_bytes(folder.toml, LARGEST).decode("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{folder.toml} is damaged: {error}") from error
