"""The processes of a data-parallel run: one of them does what must be done once, and all agree."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import Tensor

from ddmi_core.errors import DdmiError

PATIENCE = timedelta(days=7)  # the others may wait for a whole evaluation

Result = TypeVar("Result")


def is_main() -> bool:
    """Whether this process writes files and talks to people; true where there is no other."""
    return bool(_state().is_main_process)


def on_main(work: Callable[[], Result]) -> Result | None:
    """Work in the main process while the others wait; only the main process gets the result.

    Raises:
        DdmiError: in the others, when the work has failed in the main process.
    """
    state = _state()
    if state.num_processes == 1:
        return work()
    result, failure = None, ""
    if not state.is_main_process:
        if failure := _from_main(failure):
            raise DdmiError(f"the main process ended: {failure}")
        return None
    try:
        result = work()
    except BaseException as error:
        _from_main(str(error) or type(error).__name__)
        raise
    _from_main(failure)
    return result


def main_first(work: Callable[[], Result]) -> Result:
    """Work in every process, but in the main process before the others, which find what it has prepared.

    Raises:
        DdmiError: as `on_main`.
    """
    done = on_main(work)
    return done if is_main() else work()  # type: ignore[return-value]


def gathered(value: Tensor) -> Tensor:
    """A scalar of all processes, in the order of their ranks: `(processes,)`."""
    from accelerate.utils import gather

    row = value.detach().reshape(1)
    return row if _state().num_processes == 1 else gather(row)


def largest(number: int) -> int:
    """The largest of a number that each process has."""
    state = _state()
    return number if state.num_processes == 1 else int(gathered(torch.tensor(number, device=state.device)).max())


def _from_main(sentence: str) -> str:
    from accelerate.utils import broadcast_object_list

    return str(broadcast_object_list([sentence])[0])


def _state() -> Any:
    from accelerate import PartialState

    return PartialState(cpu=not torch.cuda.is_available(), timeout=PATIENCE)
