"""Counts what makes a step of training wait: values that the host reads, and messages between processes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from ddmi_core.training.objective import Objective


class Waits(TorchDispatchMode):
    """Counts reads of tensors by the host, and collective operations, by name."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.name().partition(".")[0]
        if name == "aten::_local_scalar_dense" or name.startswith("c10d"):
            self.counts[name] += 1
        return func(*args, **(kwargs or {}))


def count_in_steps(objective: Objective, first: int, last: int) -> Waits:
    """Count from the start of a step to the start of another one, once the objective is trained."""
    waits, read, turns = Waits(), objective.read, [first, last]

    def counted(step: int, indices: Sequence[int], generator: torch.Generator) -> Any:
        if step in turns:  # its first part
            turns.remove(step)
            _switch(waits, step == first)
        return read(step, indices, generator)

    objective.read = counted  # type: ignore[method-assign]
    return waits


def _switch(waits: Waits, on: bool) -> None:
    change: Callable[..., Any] = waits.__enter__ if on else waits.__exit__
    change(*(() if on else (None, None, None)))
