"""The processes of a data-parallel run: one of them does what must be done once, and all agree."""

from __future__ import annotations

import atexit
import gc
from collections.abc import Callable
from datetime import timedelta
from functools import cache
from typing import Any, TypeVar

import torch
from torch import Tensor

from ddmi_core.errors import DdmiError

PATIENCE = timedelta(days=7)  # the others may wait for a whole evaluation

Result = TypeVar("Result")


def default_device() -> torch.device:
    """A GPU if there is one, otherwise the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def is_main() -> bool:
    """Whether this process writes files and talks to people; true where there is no other."""
    return bool(_state().is_main_process)


def on_main(work: Callable[[], Result]) -> Result:
    """Work in the main process alone, while the others wait for its result, which should be small.

    Raises:
        DdmiError: in the others, when the work has failed in the main process.
    """
    state = _state()
    if state.num_processes == 1:
        return work()
    if not state.is_main_process:
        result, failure = _from_main(None)
        if failure:
            raise DdmiError(f"the main process ended: {failure}")
        return result  # type: ignore[no-any-return]
    try:
        result = work()
    except BaseException as error:
        _from_main((None, str(error) or type(error).__name__))
        raise
    _from_main((result, ""))
    return result


def main_first(work: Callable[[], Result]) -> Result:
    """Work in every process, but in the main process before the others, which find what it has prepared.

    Raises:
        DdmiError: as `on_main`.
    """
    done: list[Result] = []
    on_main(lambda: done.append(work()))
    return done[0] if done else work()


def gathered(value: Tensor) -> Tensor:
    """A scalar of all processes, in the order of their ranks: `(processes,)`."""
    from accelerate.utils import gather

    row = value.detach().reshape(1)
    return row if _state().num_processes == 1 else gather(row)


def largest(number: int) -> int:
    """The largest of a number that each process has."""
    state = _state()
    return number if state.num_processes == 1 else int(gathered(torch.tensor(number, device=state.device)).max())


def _from_main(told: Any) -> Any:
    from accelerate.utils import broadcast_object_list

    return broadcast_object_list([told])[0]


@cache
def _state() -> Any:
    from accelerate import PartialState

    was_there = torch.distributed.is_available() and torch.distributed.is_initialized()
    state = PartialState(cpu=default_device().type == "cpu", timeout=PATIENCE)
    if state.num_processes > 1 and not was_there:
        atexit.register(_leave)
    return state


def _leave() -> None:
    """End the group's threads before the interpreter ends: one that frees a tensor later aborts the process."""
    gc.collect()  # wrapped models hold the group
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
