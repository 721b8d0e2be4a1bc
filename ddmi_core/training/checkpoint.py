"""Checkpoints: folders of safetensors and JSON, written aside and renamed, that know when they are whole."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from attrs import frozen
from torch import Tensor

from ddmi_core.errors import CheckpointError, OutputError

FORMAT = 1
STATE = "state.json"


@frozen
class Checkpoint:
    """One stored state: named groups of tensors and a JSON record."""

    folder: Path
    record: Mapping[str, Any]

    def tensors(self, name: str) -> dict[str, Tensor]:
        """Tensors of one group.

        Raises:
            CheckpointError: if the group is missing or its file is damaged.
        """
        path = self.folder / f"{name}.safetensors"
        if path.name not in self.record["files"]:
            raise CheckpointError(
                f"checkpoint {self.folder} holds no {name!r}; it has {', '.join(self.record['files'])}"
            )
        try:
            return safetensors.torch.load_file(path)
        except (OSError, safetensors.SafetensorError) as error:
            raise CheckpointError(f"checkpoint file {path} cannot be read: {error}") from error


def save(folder: Path, tensors: Mapping[str, Mapping[str, Tensor]], record: Mapping[str, Any]) -> Checkpoint:
    """Write a checkpoint folder; it appears under its name only when it is complete.

    Args:
        folder: where it will be; an existing one is replaced.
        tensors: one file a group.
        record: JSON-serialisable facts to keep beside them.

    Raises:
        OutputError: if it cannot be written (no space, no permission); an older one is left as it was.
    """
    aside = folder.with_name(f".{folder.name}.partial")
    try:
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        files = {}
        for name, group in tensors.items():
            path = aside / f"{name}.safetensors"
            plain = {key: tensor.detach().cpu().contiguous() for key, tensor in group.items()}
            write_synced(path, safetensors.torch.save(plain))
            files[path.name] = {"bytes": path.stat().st_size, "sha256": _digest(path)}
        state = {"format": FORMAT, **record, "files": files}
        write_synced(aside / STATE, json.dumps(state, indent=1).encode())
        old = folder.with_name(f".{folder.name}.old")
        shutil.rmtree(old, ignore_errors=True)
        if folder.exists():
            folder.rename(old)
        aside.rename(folder)
        shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        shutil.rmtree(aside, ignore_errors=True)
        raise write_error(folder, error) from error
    return Checkpoint(folder, state)


def load(folder: Path) -> Checkpoint:
    """Open a checkpoint after checking that it is whole.

    Raises:
        CheckpointError: if it is missing, foreign, truncated, altered or from a newer version.
    """
    try:
        record = json.loads((folder / STATE).read_text())
        files = record["files"]
        version = int(record["format"])
    except FileNotFoundError as error:
        raise CheckpointError(f"{folder} is not a checkpoint: it has no {STATE}") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{folder / STATE} is damaged or not a checkpoint's record: {error!r}") from error
    if version > FORMAT:
        raise CheckpointError(
            f"checkpoint {folder} has format {version}; this version reads up to {FORMAT}: install a newer ddmi"
        )
    for name, facts in files.items():
        path = folder / name
        size = path.stat().st_size if path.exists() else -1
        if size != facts["bytes"] or _digest(path) != facts["sha256"]:
            found = "missing" if size < 0 else f"{size} bytes"
            raise CheckpointError(
                f"checkpoint file {path} is truncated or altered: expected {facts['bytes']} bytes with digest "
                f"{facts['sha256'][:12]}, found {found}"
            )
    return Checkpoint(folder, record)


def steps(folder: Path) -> list[Path]:
    """Folders of step checkpoints, newest first."""
    return sorted(folder.glob("step-*"), key=lambda path: path.name, reverse=True)


def newest(folder: Path) -> tuple[Checkpoint | None, list[str]]:
    """The newest complete step checkpoint, and why newer ones were passed over."""
    reasons = []
    for path in steps(folder):
        try:
            return load(path), reasons
        except CheckpointError as error:
            reasons.append(str(error))
    return None, reasons


def prune(folder: Path, keep: int) -> None:
    """Remove all but the newest step checkpoints."""
    for path in steps(folder)[keep:]:
        shutil.rmtree(path, ignore_errors=True)


def write_synced(path: Path, data: bytes) -> None:
    """Write a file and wait until the disk has it."""
    with path.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def write_error(path: Path, error: OSError) -> OutputError:
    """The sentence for a failed write."""
    if error.errno == errno.ENOSPC:
        return OutputError(f"no space left on the disk while writing {path}; free some and repeat with --resume")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return OutputError(f"no permission to write {path}; choose another --out folder")
    return OutputError(f"cannot write {path}: {error.strerror or error}")


@contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`, renamed to it when the block ends well.

    Raises:
        OutputError: if it cannot be written.
    """
    aside = path.with_name(f".partial-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield aside
        aside.replace(path)
    except OSError as error:
        raise write_error(path, error) from error
    finally:
        aside.unlink(missing_ok=True)


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
