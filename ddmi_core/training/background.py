"""Checkpoints that a thread writes beside the training, from a copy of the state."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from ddmi_core.allowance import free_memory

SHARE = 4  # a copy of the state may take this part of the free memory

Groups = Mapping[str, Mapping[str, Tensor]]


class BackgroundWriter:
    """Writes one checkpoint at a time, and raises the errors of its thread in the thread that trains.

    A copy in the memory of the CPU is taken if it needs at most a quarter of what is free there. A larger state is
    written before `save` returns, one tensor after another.
    """

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None

    def save(self, groups: Groups, write: Callable[[Groups], None], owned: bool = False) -> None:
        """Wait for the previous checkpoint, and write the next one.

        Args:
            groups: of tensors, which may change as soon as this returns.
            write: writes them.
            owned: whether they do not change, and need no copy.
        """
        self.wait()
        if not owned:
            if SHARE * sum(tensor.nbytes for group in groups.values() for tensor in group.values()) > free_memory():
                write(groups)
                return
            groups = {name: {key: _copied(tensor) for key, tensor in group.items()} for name, group in groups.items()}
        self._thread = threading.Thread(target=self._write, args=(groups, write), name="checkpoint", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Raise the error of a checkpoint that could not be written."""
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def wait(self) -> None:
        """Wait for the end of the writing, and `check`."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self.check()

    def __enter__(self) -> BackgroundWriter:
        """Write in the block, and have finished after it."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        """Wait; another error of the block is not replaced."""
        try:
            self.wait()
        except BaseException:
            if error is None:
                raise

    def _write(self, groups: Groups, write: Callable[[Groups], None]) -> None:
        try:
            write(groups)
        except BaseException as error:
            self._failure = error


def _copied(tensor: Tensor) -> Tensor:
    return tensor.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
