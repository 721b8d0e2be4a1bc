"""Publishing of a finished run as a small folder of weights with a model card, to ship with a plugin or to upload."""

from __future__ import annotations

import json
import shutil
import tomllib
from pathlib import Path

import tomli_w
import torch
from torch import Tensor

from ddmi_core import record_files
from ddmi_core.errors import OutputError
from ddmi_core.evaluation.results import own_figures
from ddmi_core.evaluation.tuning import Tuning
from ddmi_core.model.provenance import check_origin
from ddmi_core.model.run_folder import RunFolder, check_finished, read_head, sealed
from ddmi_core.model.run_results import FIGURES, TUNING, record_copy, status
from ddmi_core.progress import doing
from ddmi_core.runs.model_card import CARD, UNKNOWN_LICENSE, model_card
from ddmi_core.settings.convert import portable
from ddmi_core.steps import AUTOENCODER
from ddmi_core.training import checkpoint
from ddmi_core.training.checkpoint import FINAL, SNAPSHOT


@doing("writing the model")
def publish(run: Path, out: Path, *, license_name: str = UNKNOWN_LICENSE, task: str = "") -> int:
    """Copy the files of a finished run that `load` requires, with weights in half precision, and write a model card.

    The plugin of the run need not be installed. Figures are copied if the run has been evaluated.

    Args:
        run: folder of a finished run.
        out: folder to create.
        license_name: licence of the weights for the card, as the Hugging Face hub spells it.
        task: task for the card, as the hub spells it, such as `text-to-3d`; empty for none.

    Returns:
        size of the folder in bytes.

    Raises:
        CheckpointError: if the run is not finished, or its figures are damaged or stale.
        OutputError: if the folder exists already, or cannot be written.
        RequestError: if the licence or the task has an invalid form.
    """
    source, target = RunFolder(run), RunFolder(out)
    read_head(source)
    if out.exists():
        raise OutputError(f"{out} exists already; remove it first, or choose another folder")
    check_finished(source)
    card = model_card(source, out.name, license_name, task)
    try:
        _copy(source, target, card)
    except BaseException:
        shutil.rmtree(out, ignore_errors=True)
        raise
    return sum(path.stat().st_size for path in out.rglob("*") if path.is_file())


def _copy(source: RunFolder, target: RunFolder, card: str) -> None:
    own = copied = ""  # digests of the autoencoder's weights, here and in the copy
    for stage in (source.autoencoder, source.denoiser):
        stored = checkpoint.load(stage / FINAL)
        groups = {Path(name).stem: stored.tensors(Path(name).stem) for name in stored.record["files"]}
        for name in groups.keys() & {"weights", SNAPSHOT}:
            groups[name] = {key: _half(tensor) for key, tensor in groups[name].items()}
        facts = {key: value for key, value in stored.record.items() if key not in ("files", "format")}
        if AUTOENCODER in facts:
            check_origin(stored, own)
            facts[AUTOENCODER] = copied
        own = stored.digest("weights")
        copied = checkpoint.save(target.path / stage.name / FINAL, groups, facts).digest("weights")
    table = portable(tomllib.loads(source.toml.read_text(encoding="utf-8")))
    if "file" in table["run"]:
        table["run"]["file"] = Path(table["run"]["file"]).name
    _write(target.toml, sealed(tomli_w.dumps(table)))
    if status(source, TUNING).own:
        _write(target.tuning, record_files.to_json(portable(json.loads(Tuning.load(source.tuning).to_json()))))
        record_copy(source, target, TUNING, [target.tuning])
    if source.metrics.is_file():
        figures = json.loads(own_figures(source).to_json())
        _write(target.metrics, record_files.to_json(portable(figures)))
        record_copy(source, target, FIGURES, [target.metrics])
    _write(target.path / CARD, card)


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _half(tensor: Tensor) -> Tensor:
    return tensor.to(torch.float16) if tensor.is_floating_point() else tensor
