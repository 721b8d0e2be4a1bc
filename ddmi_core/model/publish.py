"""Publishing of a finished run as a small folder of weights that a plugin can ship."""

from __future__ import annotations

import shutil
from pathlib import Path

import torch
from torch import Tensor

from ddmi_core.errors import CheckpointError, OutputError
from ddmi_core.model.provenance import AUTOENCODER, check_origin
from ddmi_core.model.run_folder import RunFolder, read_head
from ddmi_core.training import checkpoint
from ddmi_core.training.checkpoint import FINAL, finished


def publish(run: Path, out: Path) -> int:
    """Copy the files of a finished run that `load` requires, with weights in half precision.

    Args:
        run: folder of a finished run.
        out: folder to create.

    Returns:
        size of the folder in bytes.

    Raises:
        CheckpointError: if the run is not finished.
        OutputError: if the folder exists already, or cannot be written.
    """
    source, target = RunFolder(run), RunFolder(out)
    read_head(source)
    if out.exists():
        raise OutputError(f"{out} exists already; remove it first, or choose another folder")
    own = copied = ""  # digests of the autoencoder's weights, here and in the copy
    for stage in (source.autoencoder, source.denoiser):
        if not finished(stage):
            raise CheckpointError(f"{run} is not finished: {stage.name}/{FINAL} is missing")
        stored = checkpoint.load(stage / FINAL)
        groups = {Path(name).stem: stored.tensors(Path(name).stem) for name in stored.record["files"]}
        groups["weights"] = {name: _half(tensor) for name, tensor in groups["weights"].items()}
        facts = {key: value for key, value in stored.record.items() if key not in ("files", "format")}
        if AUTOENCODER in facts:
            check_origin(stored, own)
            facts[AUTOENCODER] = copied
        own = stored.digest("weights")
        copied = checkpoint.save(out / stage.name / FINAL, groups, facts).digest("weights")
    shutil.copyfile(source.toml, target.toml)
    return sum(path.stat().st_size for path in out.rglob("*") if path.is_file())


def _half(tensor: Tensor) -> Tensor:
    return tensor.to(torch.float16) if tensor.is_floating_point() else tensor
