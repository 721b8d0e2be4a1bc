"""Checkpoints: folders of safetensors and JSON, written atomically and verified by checksums."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import safetensors
import safetensors.torch
import torch
from attrs import field, frozen
from torch import Tensor, nn

from ddmi_core import record_files
from ddmi_core.atomic import check_guards, write_error, written_aside
from ddmi_core.errors import CheckpointError, OutputError

FORMAT = 1
STATE = "state.json"
LONGEST = 100  # characters of the name of a file
# What reading a JSON or TOML file from elsewhere raises: numbers out of range and deep nesting included.
DAMAGED = (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError)
_DTYPES = {  # names in safetensors files
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
FINAL = "final"  # name of the checkpoint with a stage's final weights
SNAPSHOT = "snapshot"  # group of the averaged weights at an earlier step
SETTINGS = "settings"  # entry of the record with the settings that acted on a stage


Facts = TypeVar("Facts")


@frozen
class _File:
    """Facts about a file of a checkpoint."""

    bytes: int
    sha256: str


class NewerFormatError(CheckpointError):
    """A checkpoint from a newer version; it is not damaged, so it must not be skipped."""


@frozen
class TrainedWith:
    """The settings that acted on a stage, by dotted key; none if they are unknown."""

    settings: dict[str, Any] = field(factory=dict)


@frozen
class Checkpoint:
    """One stored state: named groups of tensors and a JSON record."""

    folder: Path
    record: Mapping[str, Any]

    def digest(self, name: str) -> str:
        """SHA-256 digest of the file of a group."""
        return str(self.record["files"][f"{name}.safetensors"]["sha256"])

    def has(self, name: str) -> bool:
        """Whether there is a group of tensors with this name."""
        return f"{name}.safetensors" in self.record["files"]

    def tensors(self, name: str) -> dict[str, Tensor]:
        """The tensors of a group, mapped from its file.

        Raises:
            CheckpointError: if the group is missing or its file is damaged.
        """
        if not self.has(name):
            raise CheckpointError(
                f"checkpoint {self.folder} has no group {name!r}; it has {', '.join(self.record['files'])}"
            )
        return read_group(self.folder / f"{name}.safetensors")

    def facts(self, kind: type[Facts]) -> Facts:
        """Members of the record as an attrs class, which names them and their types; others are left out.

        Raises:
            CheckpointError: if one is missing, or has another type or a value that the class refuses.
        """
        try:
            return record_files.structured(self.record, kind)
        except record_files.DamagedRecord as error:
            raise CheckpointError(
                f"{self.folder / STATE} is damaged: {error}. Fix: restore it from a copy, or remove {self.folder}"
            ) from error

    def bytes(self, name: str) -> int:
        """Size of the file of a group."""
        return int(self.record["files"][f"{name}.safetensors"]["bytes"])


def save(folder: Path, tensors: Mapping[str, Mapping[str, Tensor]], record: Mapping[str, Any]) -> Checkpoint:
    """Write a checkpoint folder atomically.

    An existing checkpoint is renamed until the new one has its name. If the program ends in between, `load`
    restores it, so one of the two is always readable.

    Args:
        folder: path of the checkpoint; an existing one is replaced.
        tensors: groups of tensors, one file per group.
        record: JSON-serialisable metadata.

    Raises:
        OutputError: if it cannot be written (no space, no permission); an existing one stays unchanged.
    """
    aside = _sibling(folder, "partial")
    check_guards(folder)
    try:
        _recover(folder)
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
    except OSError as error:
        raise write_error(folder, error) from error
    try:
        return complete(folder, aside, tensors, record)
    except OutputError:
        check_guards(folder)  # what is there may be another process's
        shutil.rmtree(aside, ignore_errors=True)
        raise


def complete(
    folder: Path, aside: Path, tensors: Mapping[str, Mapping[str, Tensor]], record: Mapping[str, Any]
) -> Checkpoint:
    """Add groups and the record to a folder of groups (see `write_group`), and rename it to a checkpoint.

    Args:
        folder: path of the checkpoint; an existing one is replaced.
        aside: the folder, beside it.
        tensors: further groups of tensors.
        record: JSON-serialisable metadata.

    Raises:
        OutputError: if it cannot be written; an existing checkpoint stays unchanged.
    """
    old = _sibling(folder, "old")
    try:
        for name, group in tensors.items():
            check_guards(folder)
            write_synced(aside / f"{name}.safetensors", _contents(group))
        written = [aside / f"{name}.safetensors" for name in tensors]
        others = sorted(path for path in aside.glob("[!.]*.safetensors") if path not in written)
        files = {path.name: {"bytes": path.stat().st_size, "sha256": _digest(path)} for path in (*written, *others)}
        state = record_files.sealed({"format": FORMAT, **record, "files": files})
        write_synced(aside / STATE, [record_files.to_json(state).encode()])
        check_guards(folder)
        if folder.exists():
            folder.rename(old)
        aside.rename(folder)
        shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        _recover(folder)
        raise write_error(folder, error) from error
    return Checkpoint(folder, state)


def write_group(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write the file of one group of a checkpoint that is still to be completed; it appears when it is whole.

    Raises:
        OutputError: if it cannot be written.
    """
    with written_aside(path) as aside:
        write_synced(aside, _contents(tensors))


def read_group(path: Path) -> dict[str, Tensor]:
    """The tensors of a group, mapped from its file.

    Raises:
        CheckpointError: if the file is missing or damaged.
    """
    try:
        return safetensors.torch.load_file(path)
    except (OSError, safetensors.SafetensorError) as error:
        raise CheckpointError(f"checkpoint file {path} cannot be read: {error}") from error


def exists(folder: Path) -> bool:
    """Whether the folder holds a checkpoint; `load` verifies it."""
    _recover(folder)
    return (folder / STATE).exists()


def load(folder: Path, share: Callable[[list[str]], Sequence[str]] = lambda names: names) -> Checkpoint:
    """Open a checkpoint and verify its files.

    Args:
        folder: of the checkpoint.
        share: chooses the files whose digests are verified, from the names of all, so that several processes can share
            this; the size of each is verified anyway.

    Raises:
        CheckpointError: if it is missing, of another kind, truncated, altered, or from a newer version.
    """
    _recover(folder)
    try:
        record = record_files.parsed(record_files.read_bytes(folder / STATE))
        version = record.get("format")
        if type(version) is not int or not 0 <= version < 2**31:
            raise ValueError("its format is not a number of a format")
        if version > FORMAT:
            raise NewerFormatError(
                f"checkpoint {folder} has format {version}; this version reads up to {FORMAT}. "
                "Fix: install a newer ddmi"
            )
        if inside := [name for name in dict(record["files"]) if Path(name).name != name or len(name) > LONGEST]:
            raise ValueError(f"{inside[0][:40]!r} is not the name of a file")
        files = record_files.structured(record.get("files"), dict[str, _File])
        record_files.check(record)
    except FileNotFoundError as error:
        raise CheckpointError(f"{folder} is not a checkpoint: it has no {STATE}") from error
    except (OSError, *DAMAGED) as error:
        raise CheckpointError(
            f"{folder / STATE} is damaged or not a checkpoint's record: {error}. Fix: restore it from a copy; "
            f"or remove the folder {folder.parent}, and train the stage again with --resume"
        ) from error
    examined = set(share(list(files)))
    for name, facts in files.items():
        expected, digest = facts.bytes, facts.sha256
        path = folder / name
        try:
            size = path.stat().st_size if path.is_file() else -1
            same = size == expected and (name not in examined or _digest(path) == digest)
        except OSError as error:
            raise CheckpointError(f"checkpoint file {path} cannot be read: {error}") from error
        if not same:
            found = "missing" if size < 0 else f"{size} bytes"
            raise CheckpointError(
                f"checkpoint file {path} is truncated or altered: expected {expected} bytes with digest "
                f"{digest[:12]}, found {found}"
            )
    return Checkpoint(folder, record)


def steps(folder: Path) -> list[Path]:
    """Folders of step checkpoints, newest first."""
    return sorted(folder.glob("step-*"), key=lambda path: path.name, reverse=True)


def newest(folder: Path) -> tuple[Checkpoint | None, list[str]]:
    """The newest valid step checkpoint, and the reasons for skipping newer ones.

    Raises:
        NewerFormatError: if one was written by a newer version.
    """
    reasons: list[str] = []
    for path in steps(folder):
        try:
            return load(path), reasons
        except NewerFormatError:
            raise
        except CheckpointError as error:
            reasons.append(str(error))
    return None, reasons


def prune(folder: Path, keep: int, last: str = "") -> None:
    """Remove all but the newest step checkpoints, and leftovers of interrupted writes.

    Args:
        folder: of a stage.
        keep: number of checkpoints to keep.
        last: name of the checkpoint just saved. Later ones are damaged checkpoints that the resumed run skipped;
            they are removed.
    """
    stored = steps(folder)
    kept = [path for path in stored if not last or path.name <= last][:keep]
    for path in (*stored, *folder.glob(".step-*")):
        if path not in kept:
            shutil.rmtree(path, ignore_errors=True)


def write_synced(path: Path, pieces: Iterable[bytes | memoryview]) -> None:
    """Write the pieces of a file one after another, and flush it to the disk."""
    with path.open("wb") as stream:
        for piece in pieces:
            stream.write(piece)
        stream.flush()
        os.fsync(stream.fileno())


def finished(folder: Path) -> bool:
    """Whether a stage's folder holds its final weights."""
    return exists(folder / FINAL)


def load_final(folder: Path, module: nn.Module) -> Checkpoint:
    """Load a stage's final weights into a module.

    Raises:
        CheckpointError: if they are missing, damaged, or of another architecture.
    """
    stored = load(folder / FINAL)
    load_into(module, stored.tensors("weights"), stored.folder)
    return stored


def load_into(module: nn.Module, weights: Mapping[str, Tensor], folder: Path) -> None:
    """Load weights into a module.

    Raises:
        CheckpointError: if they belong to another architecture.
    """
    try:
        module.load_state_dict(dict(weights))
    except RuntimeError as error:
        first = str(error).splitlines()[1].strip() if "\n" in str(error) else str(error)
        raise CheckpointError(f"checkpoint {folder} does not fit the configured model: {first}") from error


def _contents(tensors: Mapping[str, Tensor]) -> Iterator[bytes | memoryview]:
    """A safetensors file in pieces: the header, then one tensor after another.

    `safetensors.torch.save` holds all tensors of the file three times; this holds one tensor of another device, or that
    is not contiguous, twice.
    """
    order = sorted(tensors, key=lambda name: (-tensors[name].element_size(), _DTYPES[tensors[name].dtype], name))
    header, start = {}, 0
    for name in order:
        end = start + tensors[name].numel() * tensors[name].element_size()
        facts = {"dtype": _DTYPES[tensors[name].dtype], "shape": list(tensors[name].shape)}
        header[name] = {**facts, "data_offsets": [start, end]}
        start = end
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # tensors start at a multiple of 8 bytes
    yield struct.pack("<Q", len(text)) + text
    for name in order:
        yield tensors[name].detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data


def _sibling(folder: Path, kind: str) -> Path:
    return folder.with_name(f".{folder.name}.{kind}")


def _recover(folder: Path) -> None:
    """Recover from a replacement that was interrupted between its two renames: restore the old checkpoint."""
    old = _sibling(folder, "old")
    if not old.exists():
        return
    if folder.exists():
        shutil.rmtree(old, ignore_errors=True)
    else:
        with suppress(OSError):
            old.rename(folder)


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
