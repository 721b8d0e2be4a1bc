"""What stages and results of a run were made from, and whether they are up to date, stale, damaged or missing."""

from __future__ import annotations

import shlex
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from attrs import asdict, evolve, field, frozen

from ddmi_core import record_files
from ddmi_core._version import __version__
from ddmi_core.atomic import written_aside
from ddmi_core.errors import CheckpointError
from ddmi_core.model.run_folder import RunFolder, read_head
from ddmi_core.network_files import digest
from ddmi_core.settings.config import RunConfig
from ddmi_core.settings.convert import flat, portable
from ddmi_core.settings.schema import keys
from ddmi_core.steps import AUTOENCODER
from ddmi_core.steps import FIGURES as FIGURES
from ddmi_core.steps import REPORT as REPORT
from ddmi_core.steps import SAMPLES as SAMPLES
from ddmi_core.training import checkpoint
from ddmi_core.training.checkpoint import FINAL, Checkpoint, NewerFormatError, TrainedWith

PAPER_FIGURES = "figures by the paper's protocol"
TUNING = "tuning"
RESULTS = (SAMPLES, FIGURES, PAPER_FIGURES, TUNING, REPORT)
ON_REQUEST = (PAPER_FIGURES, TUNING)  # results that no run makes by itself
VERSIONS = ("version of ddmi", "version of the plugin")
SHOWN = 3  # settings that a reason names
NOT_RECORDED = "nothing records what it was made from"

State = Literal["up to date", "stale", "damaged", "missing"]


@frozen
class Made:
    """How a result was made.

    Args:
        origin: digests of what it was made from, by name, and versions.
        settings: that act on it, by dotted key.
        files: SHA-256 of its files, by their path in the run folder.
    """

    origin: dict[str, str]
    settings: dict[str, Any]
    files: dict[str, str]


@frozen
class _Stored:
    results: dict[str, Made] = field(factory=dict)


@frozen
class Status:
    """The state of a stage or result.

    Args:
        name: of the step.
        state: of its files.
        reason: why they are not up to date.
        own: whether they belong to the model, the data and the settings of the run; another version may have made them.
    """

    name: str
    state: State
    reason: str = ""
    own: bool = False

    @property
    def shown(self) -> str:
        """The state and the reason, as in `stale (made from other settings)`."""
        return f"{self.state} ({self.reason})" if self.reason else self.state


def acting(folder: RunFolder, config: RunConfig, step: str) -> dict[str, Any]:
    """The settings that act on a step, by dotted key, as `run.toml` has them: `None` where it leaves one out.

    Of paths that lead out of the run folder, the last part counts, so that files may be moved.

    Raises:
        CheckpointError: if `run.toml` cannot be read.
    """
    now = _settings(folder)
    return {row.key: now.get(row.key) for row in keys(config) if step in row.acts_on}


def origin(folder: RunFolder, name: str) -> dict[str, str]:
    """Digests of what a result of a finished run is made from now, beside the settings.

    Weights of both stages, the data, the version of ddmi and of the plugin; for the report also the figures.

    Raises:
        CheckpointError: if the run is not finished, or `run.toml` cannot be read.
    """
    head = read_head(folder)
    found = {
        "weights of the autoencoder": _weights(folder.autoencoder),
        "weights of the denoiser": _weights(folder.denoiser),
        "data": head.fingerprint,
    }
    if name == REPORT:
        found["figures"] = digest(folder.metrics) if folder.metrics.is_file() else ""
    return found | dict(zip(VERSIONS, (__version__, head.version or head.sha256), strict=True))


def record(folder: RunFolder, name: str, files: Iterable[Path], config: RunConfig) -> None:
    """Record that a result was made, with the digests of its files; its files are complete before.

    Raises:
        CheckpointError: as `origin`.
        OutputError: if the record cannot be written.
    """
    step = FIGURES if name == PAPER_FIGURES else name
    _write(folder, name, Made(origin(folder, name), acting(folder, config, step), _digests(folder, files)))


def record_copy(source: RunFolder, target: RunFolder, name: str, files: Iterable[Path]) -> None:
    """Record that a result in another folder, with its own weights, was made as that of a run.

    Raises:
        CheckpointError: as `origin`.
        OutputError: if the record cannot be written.
    """
    made = _read(source).results[name]
    kept = {part: made.origin[part] for part in VERSIONS if part in made.origin}
    _write(target, name, evolve(made, origin=origin(target, name) | kept, files=_digests(target, files)))


def status(folder: RunFolder, name: str) -> Status:
    """The state of a result of a finished run: a step is done exactly when its result is up to date.

    Raises:
        CheckpointError: as `origin`.
    """
    present = [path for path in _places(folder)[name] if path.exists()]
    made = _read(folder).results.get(name)
    if made is None:
        return Status(name, "stale", NOT_RECORDED) if present else Status(name, "missing")
    if lost := [path for path in made.files if not (folder.path / path).is_file()]:
        return Status(name, "missing", f"{lost[0]} does not exist")
    if changed := [path for path, known in made.files.items() if digest(folder.path / path) != known]:
        return Status(name, "damaged", f"{changed[0]} is not what was written")
    other = [part for part, value in origin(folder, name).items() if made.origin.get(part) != value]
    own = [part for part in other if part not in VERSIONS] + _other_settings(folder, made.settings)
    return _stale(name, own, [part for part in other if part in VERSIONS])


def chain(folder: RunFolder) -> list[Status]:
    """The states of all steps of a run, from stage 1 to the report; a result that was never made is left out.

    Raises:
        CheckpointError: if there is no run, the record of results is damaged, or a stage is of a newer version.
    """
    head, own = read_head(folder), ""
    found = []
    for stage in (folder.autoencoder, folder.latents, folder.denoiser):
        if not checkpoint.finished(stage):
            steps = checkpoint.steps(stage) if stage.is_dir() else []
            found.append(Status(stage.name, "missing", f"trained to {steps[0].name}" if steps else ""))
            continue
        try:
            stored = _final(stage)
            settings = stored.facts(TrainedWith).settings
        except NewerFormatError:
            raise
        except CheckpointError as error:
            found.append(Status(stage.name, "damaged", str(error)))
            continue
        other = [
            what
            for what, value, now in (
                ("data", stored.record.get("fingerprint"), head.fingerprint),
                ("weights of the autoencoder", stored.record.get(AUTOENCODER), own),
            )
            if value is not None and now and value != now
        ]
        if stage == folder.autoencoder:
            own = stored.digest("weights")
        found.append(_stale(stage.name, other + _other_settings(folder, settings)))
    if damaged := [stage.name for stage in found if stage.state == "damaged"]:
        lost = f"the {damaged[0]} is damaged"
        present = {name for name in RESULTS if any(path.exists() for path in _places(folder)[name])}
        states = [Status(name, "stale", lost) if name in present else Status(name, "missing") for name in RESULTS]
        return [*found, *(one for one in states if one.name not in ON_REQUEST or one.name in present)]
    if any(stage.state == "missing" and stage.name != folder.latents.name for stage in found):
        return [*found, *(Status(name, "missing") for name in RESULTS if name not in ON_REQUEST)]
    results = [status(folder, name) for name in RESULTS]
    return [*found, *(one for one in results if one.name not in ON_REQUEST or one.state != "missing")]


def edited_stages(folder: RunFolder) -> Iterator[tuple[Path, str]]:
    """Each finished stage that was made with other settings than `run.toml` has now, with these settings in words.

    Raises:
        CheckpointError: if a record is damaged.
    """
    for stage in (folder.autoencoder, folder.latents, folder.denoiser):
        if checkpoint.finished(stage):
            made, now = _final(stage).facts(TrainedWith).settings, _settings(folder)
            if other := [f"{key} was {made[key]!r} and is {now.get(key)!r}" for key in _changed(made, now)]:
                yield stage, ", ".join(other)


def check_stages(folder: RunFolder) -> None:
    """Check that the finished stages were made with the settings of the run.

    Raises:
        CheckpointError: if one was not, with the settings and the fix; or a record is damaged.
    """
    for stage, other in edited_stages(folder):
        raise CheckpointError(
            f"{stage} was made with other settings: {other}. Fix: set them back in {folder.toml}, and accept that with "
            f"ddmi doctor {shlex.quote(str(folder.path))} --accept; or remove the folder {stage}, and continue with "
            "--resume"
        )


def _stale(name: str, own: list[str], versions: Iterable[str] = ()) -> Status:
    parts = [*own, *versions]
    if not parts:
        return Status(name, "up to date", own=True)
    return Status(name, "stale", f"made from other {' and other '.join(parts)}", own=not own)


def _other_settings(folder: RunFolder, made: Mapping[str, Any]) -> list[str]:
    """The settings that are not what they were, as one part of an origin; none if all are."""
    other = _changed(made, _settings(folder))
    more = f" and {len(other) - SHOWN} more" if len(other) > SHOWN else ""
    return [f"settings ({', '.join(other[:SHOWN])}{more})"] if other else []


def _changed(made: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    return [key for key, value in made.items() if now.get(key) != value]


def _settings(folder: RunFolder) -> dict[str, Any]:
    """The settings of `run.toml` by dotted key, with paths shortened."""
    read_head(folder)
    return flat(portable(tomllib.loads(folder.toml.read_text(encoding="utf-8"))))


def _final(stage: Path) -> Checkpoint:
    """The final state of a stage, whose files are not read."""
    return checkpoint.load(stage / FINAL, lambda names: [])


def _digests(folder: RunFolder, files: Iterable[Path]) -> dict[str, str]:
    return {path.relative_to(folder.path).as_posix(): digest(path) for path in files}


def _places(folder: RunFolder) -> Mapping[str, tuple[Path, ...]]:
    """Where the files of each result are."""
    places = ((folder.samples,), (folder.metrics,), (folder.paper_metrics,), (folder.tuning,), (folder.report,))
    return dict(zip(RESULTS, places, strict=True))


def _read(folder: RunFolder) -> _Stored:
    """The record; empty if there is none or it is damaged, so that all results are made again."""
    with suppress(OSError, record_files.DamagedRecord):
        return record_files.structured(record_files.read(folder.results), _Stored)
    return _Stored()


def _write(folder: RunFolder, name: str, made: Made) -> None:
    stored = {**_read(folder).results, name: made}
    with written_aside(folder.results) as aside:
        values = {"results": {key: asdict(one) for key, one in sorted(stored.items())}}
        aside.write_text(record_files.to_json(values), encoding="utf-8")


def _weights(stage: Path) -> str:
    """The recorded digest of a stage's weights."""
    return _final(stage).digest("weights")
