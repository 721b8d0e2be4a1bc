"""What each result of a run was made from: samples, figures and report are up to date, stale, damaged or missing."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal

from attrs import evolve, field, frozen

from ddmi_core import record_files
from ddmi_core._version import __version__
from ddmi_core.atomic import written_aside
from ddmi_core.model.provenance import AUTOENCODER
from ddmi_core.model.run_folder import RunFolder, read_head
from ddmi_core.network_files import digest
from ddmi_core.training import checkpoint
from ddmi_core.training.checkpoint import FINAL

SAMPLES, FIGURES, PAPER_FIGURES, REPORT = "samples", "figures", "figures by the paper's protocol", "report"
RESULTS = (SAMPLES, FIGURES, PAPER_FIGURES, REPORT)
NOT_RECORDED = "nothing records what it was made from"

State = Literal["up to date", "stale", "damaged", "missing"]


@frozen
class Made:
    """How a result was made.

    Args:
        origin: digests of what it was made from, by name.
        files: SHA-256 of its files, by their path in the run folder.
    """

    origin: dict[str, str]
    files: dict[str, str]


@frozen
class _Stored:
    results: dict[str, Made] = field(factory=dict)


@frozen
class Status:
    """The state of a result, with the reason unless it is up to date."""

    name: str
    state: State
    reason: str = ""

    @property
    def shown(self) -> str:
        """The state and the reason, as in `stale (made from other settings)`."""
        return f"{self.state} ({self.reason})" if self.reason else self.state


def origin(folder: RunFolder, name: str) -> dict[str, str]:
    """Digests of what a result of a finished run is made from now.

    Weights of both stages, the data, the settings (all of `run.toml` but the table `run`), the version of ddmi and of
    the plugin; for the report also the figures.

    Raises:
        CheckpointError: if the run is not finished, or `run.toml` cannot be read.
    """
    head = read_head(folder)
    settings = tomllib.loads(folder.toml.read_text(encoding="utf-8"))
    settings.pop("run", None)
    found = {
        "weights of the autoencoder": _weights(folder.autoencoder),
        "weights of the denoiser": _weights(folder.denoiser),
        "data": head.fingerprint,
        "settings": record_files.checksum(settings),
        "version of ddmi": __version__,
        "version of the plugin": head.version or head.sha256,
    }
    if name == REPORT:
        found["figures"] = digest(folder.metrics) if folder.metrics.is_file() else ""
    return found


def record(folder: RunFolder, name: str, files: Iterable[Path]) -> None:
    """Record that a result was made, with the digests of its files; its files are complete before.

    Raises:
        CheckpointError: as `origin`.
        OutputError: if the record cannot be written.
    """
    made = Made(origin(folder, name), {path.relative_to(folder.path).as_posix(): digest(path) for path in files})
    stored = _read(folder)
    stored = evolve(stored, results={**stored.results, name: made})
    with written_aside(folder.results) as aside:
        values = {
            "results": {key: {"origin": one.origin, "files": one.files} for key, one in sorted(stored.results.items())}
        }
        aside.write_text(record_files.to_json(values), encoding="utf-8")


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
    if other := [part for part, value in origin(folder, name).items() if made.origin.get(part) != value]:
        return _other(name, other)
    if changed := [path for path, known in made.files.items() if digest(folder.path / path) != known]:
        return Status(name, "damaged", f"{changed[0]} is not what was written")
    return Status(name, "up to date")


def chain(folder: RunFolder) -> list[Status]:
    """The states of all steps of a run, from stage 1 to the report; a result that was never made is left out.

    Raises:
        CheckpointError: if there is no run, or a record is damaged.
    """
    head, own = read_head(folder), ""
    found = []
    for stage in (folder.autoencoder, folder.latents, folder.denoiser):
        if not checkpoint.finished(stage):
            steps = checkpoint.steps(stage) if stage.is_dir() else []
            found.append(Status(stage.name, "missing", f"trained to {steps[0].name}" if steps else ""))
            continue
        stored = checkpoint.load(stage / FINAL, lambda names: [])
        other = [
            what
            for what, value, now in (
                ("data", stored.record.get("fingerprint"), head.fingerprint),
                ("weights of the autoencoder", stored.record.get(AUTOENCODER), own),
            )
            if value is not None and now and value != now
        ]
        own = own or stored.digest("weights")
        found.append(_other(stage.name, other))
    if any(stage.state == "missing" for stage in found):
        return [*found, *(Status(name, "missing") for name in RESULTS if name != PAPER_FIGURES)]
    results = [status(folder, name) for name in RESULTS]
    return [*found, *(one for one in results if one.name != PAPER_FIGURES or one.state != "missing")]


def _other(name: str, parts: Sequence[str]) -> Status:
    return (
        Status(name, "stale", f"made from other {' and other '.join(parts)}") if parts else Status(name, "up to date")
    )


def _places(folder: RunFolder) -> Mapping[str, tuple[Path, ...]]:
    """Where the files of each result are."""
    places = ((folder.samples,), (folder.metrics,), (folder.paper_metrics,), (folder.report,))
    return dict(zip(RESULTS, places, strict=True))


def _read(folder: RunFolder) -> _Stored:
    """The record; empty if there is none or it is damaged, so that all results are made again."""
    with suppress(OSError, record_files.DamagedRecord):
        return record_files.structured(record_files.read(folder.results), _Stored)
    return _Stored()


def _weights(stage: Path) -> str:
    """The recorded digest of a stage's weights, whose file is not read."""
    return checkpoint.load(stage / FINAL, lambda names: []).digest("weights")
