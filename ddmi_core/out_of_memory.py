"""Errors of exhausted memory, of the CPU and of GPUs, as one sentence that names the settings to lower."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psutil

from ddmi_core.allowance import free_memory
from ddmi_core.errors import DdmiError

GENERAL = "close other programs, or use a machine with more memory"
# What torch and its libraries say, in exceptions that are RuntimeErrors of no kind of their own.
_SAID = re.compile(
    r"can't allocate memory|not enough memory|out of memory|cannot allocate memory|bad_alloc|_ALLOC_FAILED"
    r"|unable to mmap|HOST_ALLOCATION_FAILED",
    re.IGNORECASE,
)
_NOT_MAPPED, _LITTLE = "failed to map segment", 256 << 20  # the linker's words for a library, and bytes
_OF_GPU = re.compile(r"CUDA|cuDNN|CUBLAS|HIP", re.IGNORECASE)
_BYTES = re.compile(r"(?:tried to allocate|Unable to allocate) (\d+(?:\.\d+)?) ?(bytes|[KMGTPE]iB)", re.IGNORECASE)
_UNITS = {"bytes": 1, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40, "pib": 1 << 50, "eib": 1 << 60}


class OutOfMemoryError(DdmiError):
    """The memory of the machine, of the job or of a GPU does not suffice."""


def exhausted_memory(error: BaseException | None) -> BaseException | None:
    """The exception that says that memory is exhausted: this one, or one that it was raised from."""
    while error is not None and not is_out_of_memory(error):
        error = error.__cause__
    return error


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception, of Python, NumPy, torch or the system, says that memory is exhausted."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":  # torch's, without its import
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    if isinstance(error, ImportError):  # also of a file system without programs
        return _NOT_MAPPED in str(error) and free_memory() < _LITTLE
    return isinstance(error, RuntimeError) and bool(_SAID.search(str(error)))


def out_of_memory(error: BaseException, where: str = "", fix: str = GENERAL) -> OutOfMemoryError:
    """The error for users: where memory was exhausted, how much was asked for, is held and is free, and what to lower.

    Args:
        error: see `is_out_of_memory`.
        where: the step, as in `out of memory in the stage 'autoencoder'`.
        fix: the settings to lower.
    """
    text = str(error)
    gpu, found = bool(_OF_GPU.search(text)), _BYTES.search(text)
    held, free = _gpu_memory() if gpu else (int(psutil.Process().memory_info().rss), free_memory())
    facts = f"this process holds {size(held)}"
    if found:
        asked = int(float(found[1]) * _UNITS[found[2].lower()])
        facts += f" and asked for {size(asked)} more, so that it requires at least {size(held + asked)}"
    facts += f"; {size(free)}{' of the GPU' * gpu} are free"
    cpu = "; or compute on the CPU, with CUDA_VISIBLE_DEVICES=''" if gpu else ""
    return OutOfMemoryError(f"out of memory{f' in {where}' if where else ''}: {facts}. Fix: {fix}{cpu}")


@contextmanager
def lowering(where: str, fix: str) -> Iterator[None]:
    """Name the step of the block, and the settings that lower its memory, if memory is exhausted in it.

    Raises:
        OutOfMemoryError: instead of what Python, NumPy and torch raise.
    """
    try:
        yield
    except Exception as error:
        found = exhausted_memory(error)  # a reader may have taken it for a damaged file
        if found is None or isinstance(found, OutOfMemoryError):
            raise
        raise out_of_memory(found, where, fix) from error


def size(number: int) -> str:
    """Bytes for people: `1.5 GiB`.

    Example:
        >>> size(3 << 29)
        '1.5 GiB'
    """
    power, unit = next((p, u) for p, u in ((30, "GiB"), (20, "MiB"), (0, "bytes")) if number >= 1 << p or not p)
    return f"{number / (1 << power):,.1f} {unit}" if power else f"{number} bytes"


def _gpu_memory() -> tuple[int, int]:
    """Bytes that this process holds of the GPU, and its free bytes; zeros if it does not tell."""
    import torch

    with suppress(Exception):
        return torch.cuda.memory_reserved(), torch.cuda.mem_get_info()[0]
    return 0, 0
