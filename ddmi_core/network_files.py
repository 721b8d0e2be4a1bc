"""Networks in files that users bring: TorchScript, programs of torch.export, ONNX, and state dictionaries."""

from __future__ import annotations

import hashlib
import os
import warnings
import zipfile
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from ddmi_core.errors import DataError, RequestError, first_line

TORCHSCRIPT, EXPORTED, ONNX, STATE = "TorchScript", "torch.export", "ONNX", "state dictionary"
_BY_SUFFIX = {".pt2": EXPORTED, ".onnx": ONNX, ".safetensors": STATE}
SHOWN = 3  # names in a message
_NESTED = ("state_dict", "model", "teacher")  # keys below which checkpoints hold a state dictionary

Function = Callable[..., Any]


def file_format(path: Path) -> str:
    """The format of a file: `TORCHSCRIPT`, `EXPORTED`, `ONNX` or `STATE`.

    Raises:
        DataError: if there is no such file.
    """
    if not os.path.isfile(path):  # noqa: PTH113 - false also for names that no system takes
        raise DataError(f"{path}: no such file")
    if known := _BY_SUFFIX.get(path.suffix.lower()):
        return known
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            # <name>/code/ holds the program of a TorchScript file; files of torch.save have the same form without it.
            if any("/code/" in name for name in archive.namelist()):
                return TORCHSCRIPT
    return STATE


def digest(path: Path) -> str:
    """SHA-256 digest of a file, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def load_torchscript(path: Path, device: torch.device | str = "cpu", extra: dict[str, Any] | None = None) -> Any:
    """The module in a TorchScript file, in evaluation mode.

    The loader is deprecated since torch 2.13. The files that metrics are defined by exist as TorchScript alone, so
    users can do nothing about the warning of torch, which is not passed on.

    Args:
        path: of the file.
        device: of the module.
        extra: names of extra files of the archive, which receives their contents.

    Raises:
        DataError: if there is no such file, it is of another format, or the installed torch has no loader.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    load: Function | None = getattr(torch.jit, "load", None)
    if load is None:
        raise DataError(
            f"{path}: torch {torch.__version__} does not read TorchScript. Fix: convert the file with an earlier "
            "version of torch and torch.export.save, and give the .pt2 file"
        )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"`torch\.jit\.load` is deprecated", category=DeprecationWarning)
        try:
            network = load(str(path), map_location=device, _extra_files=extra)
        except (RuntimeError, ValueError) as error:
            raise DataError(f"{path}: not a TorchScript file: {first_line(error)}") from error
    return network.eval()


def load_exported(path: Path, device: torch.device | str = "cpu") -> Any:
    """The module of a program saved by `torch.export.save` (`.pt2`).

    Raises:
        DataError: if the file is of another format.
    """
    try:
        program = torch.export.load(path)
    except Exception as error:  # torch raises bare exceptions of many kinds
        raise DataError(f"{path}: not a file of torch.export.save: {first_line(error)}") from error
    return program.module().to(device)


def load_onnx(path: Path) -> Function:
    """A function of one tensor that runs an ONNX file on the CPU with onnxruntime, and returns its first output.

    Raises:
        RequestError: if onnxruntime is not installed.
        DataError: if the file is of another format, or has more than one input.
    """
    if find_spec("onnxruntime") is None:
        raise RequestError(f"{path}: ONNX files require an extra. Fix: pip install 'ddmi[onnx]'")
    runtime = import_module("onnxruntime")
    try:
        run = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has exceptions of its own for each fault
        raise DataError(f"{path}: not an ONNX file: {first_line(error)}") from error
    if len(run.get_inputs()) != 1:
        names = ", ".join(entry.name for entry in run.get_inputs())
        raise DataError(f"{path}: the network must have one input, and has {names}")
    name, output = run.get_inputs()[0].name, run.get_outputs()[0].name

    def apply(values: Tensor) -> Tensor:
        try:
            return torch.from_numpy(run.run([output], {name: values.cpu().numpy()})[0])
        except Exception as error:
            raise RuntimeError(str(error)) from error

    return apply


def load_state(path: Path) -> Mapping[str, Tensor]:
    """A state dictionary: of `.safetensors`, or of `torch.save`, without any other object.

    Raises:
        DataError: if the file holds something else.
    """
    try:
        found: Any = (
            load_file(path)
            if path.suffix.lower() == ".safetensors"
            else torch.load(path, map_location="cpu", weights_only=True)
        )
    except Exception as error:  # pickles fail with exceptions of many kinds
        kind = "safetensors file" if isinstance(error, SafetensorError) else "state dictionary"
        raise DataError(f"{path}: not a {kind}: {first_line(error)}") from error
    for key in _NESTED:
        if isinstance(found, Mapping) and isinstance(found.get(key), Mapping):
            found = found[key]
    if not isinstance(found, Mapping) or not found or not all(isinstance(value, Tensor) for value in found.values()):
        raise DataError(f"{path}: not a state dictionary: it must hold tensors by name, and nothing else")
    return found


def load_into(network: nn.Module, state: Mapping[str, Tensor], path: Path) -> nn.Module:
    """A network with the parameters of a state dictionary, all of which it must have.

    Raises:
        DataError: names the first parameters that are missing, not expected, or of another shape.
    """
    own = network.state_dict()
    # Counters of batches act in training alone, and some files leave them out.
    missing = [name for name in own if name not in state and not name.endswith("num_batches_tracked")]
    other = [name for name in state if name not in own]
    shapes = [
        f"{name} {tuple(state[name].shape)} instead of {tuple(value.shape)}"
        for name, value in own.items()
        if name in state and state[name].shape != value.shape
    ]
    faults = [
        f"{words} {', '.join(names[:SHOWN])}" + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
        for words, names in (("without", missing), ("with unknown", other), ("with", shapes))
        if names
    ]
    if faults:
        raise DataError(f"{path}: not the weights of {type(network).__name__}: {'; '.join(faults)}")
    network.load_state_dict(state, strict=False)
    return network
