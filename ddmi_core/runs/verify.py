"""Verification of a run folder: each file against its checksum, with what to do about a damaged one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

from attrs import frozen

from ddmi_core import record_files
from ddmi_core.errors import CheckpointError, DdmiError, counted
from ddmi_core.evaluation.results import Evaluation
from ddmi_core.evaluation.tuning import Tuning
from ddmi_core.model.latent_cache import described
from ddmi_core.model.run_folder import RunFolder, read_head
from ddmi_core.model.run_results import REPORT, SAMPLES, Status, chain
from ddmi_core.progress import doing
from ddmi_core.registry.single_file import digest
from ddmi_core.training import checkpoint
from ddmi_core.training.checkpoint import FINAL
from ddmi_core.training.log import Log


@frozen
class Verified:
    """One file or folder of a run.

    Args:
        name: relative to the run folder.
        damage: what is wrong, with the fix; empty if nothing is.
        note: what is there.
    """

    name: str
    damage: str = ""
    note: str = ""


@doing("verification")
def verify(path: Path) -> list[Verified]:
    """Read and verify all files of a run, finished or not.

    Raises:
        CheckpointError: if there is no run.
    """
    run = RunFolder(path)
    if not run.toml.is_file():
        read_head(run)  # says what is missing
    return list(_verified(run))


def _verified(run: RunFolder) -> Iterator[Verified]:
    yield _one(run, run.toml, lambda: f"run of plugin {read_head(run).plugin}")
    if run.data.exists():
        yield _one(run, run.data, lambda: _record(run.data, "remove it; it is an account of the data alone"))
    if run.log.exists():
        yield _one(run, run.log, lambda: _lines(Log(run.log)))
    for stage in (run.autoencoder, run.latents, run.denoiser):
        steps = checkpoint.steps(stage) if stage.is_dir() else []
        for folder in (*reversed(steps), stage / FINAL):
            if folder.is_dir():
                yield _one(run, folder, partial(_state, run, stage, folder))
    for stage in (RunFolder(run.initial).autoencoder, RunFolder(run.initial).denoiser):
        if (stage / FINAL).is_dir():
            yield _one(run, stage / FINAL, partial(_state, run, stage, stage / FINAL))
    for figures in (run.metrics, run.paper_metrics):
        if figures.exists():
            yield _one(run, figures, partial(_figures, figures))
    if run.tuning.exists():
        yield _one(run, run.tuning, lambda: f"{len(Tuning.load(run.tuning).trials)} trials")
    if run.plugin.exists():
        yield _one(run, run.plugin, lambda: _copy(run))
    states: list[Status] = []
    with suppress(DdmiError):  # of a record that is told above
        states = chain(run)
    for state in states:
        if state.name not in (SAMPLES, REPORT) or state.state == "missing":
            continue
        if state.state == "damaged":
            yield Verified(state.name, f"{state.reason}. Fix: continue with --resume, which makes it again")
        else:
            yield Verified(state.name, note=state.shown)


def _one(run: RunFolder, path: Path, look: Callable[[], str]) -> Verified:
    name = path.relative_to(run.path).as_posix()
    try:
        return Verified(name, note=look())
    except DdmiError as error:
        return Verified(name, str(error))
    except OSError as error:
        return Verified(name, f"it cannot be read: {error}")


def _record(path: Path, fix: str) -> str:
    try:
        record_files.read(path)
    except record_files.DamagedRecord as error:
        raise CheckpointError(f"{path} is damaged: {error}. Fix: {fix}") from error
    return "good"


def _lines(log: Log) -> str:
    good, bad = sum(1 for _ in log.records()), log.left_out()
    return counted(good, "record") + (f", and {counted(bad, 'damaged line')}, which are left out" if bad else "")


def _state(run: RunFolder, stage: Path, folder: Path) -> str:
    stored = checkpoint.load(folder)
    for name in stored.record["files"]:
        stored.tensors(Path(name).stem)
    if folder.name == FINAL and stage.name != run.autoencoder.name:
        described(stored)
    return counted(len(stored.record["files"]), "file")


def _figures(path: Path) -> str:
    return counted(len(Evaluation.load(path).figures), "figure")


def _copy(run: RunFolder) -> str:
    head = read_head(run)
    if head.sha256 and digest(run.plugin.read_bytes()) != head.sha256:
        raise CheckpointError(f"{run.plugin} is not the file that run.toml names. Fix: restore it from a copy")
    return "copy of the file of the domain"
