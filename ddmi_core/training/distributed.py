"""Data-parallel processes: work in the main process, and collective operations."""

from __future__ import annotations

import atexit
import gc
import os
import re
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import cache
from typing import Any, TypeVar

import torch
from attrs import frozen

from ddmi_core.errors import DdmiError, RequestError, counted
from ddmi_core.process_identity import ProcessIdentity, this_process

DEVICE = "DDMI_DEVICE"  # environment variable, which processes that this one starts read as well
TIMEOUT = timedelta(days=7)  # other processes may wait for an entire evaluation
ENDING = 5.0  # seconds in which a process ends after its connections

Result = TypeVar("Result")
Item = TypeVar("Item")


@frozen
class Peer:
    """A process of this run."""

    rank: int
    process: ProcessIdentity

    def __str__(self) -> str:
        """For messages: `rank 1 (process 4711 on node3)`."""
        return f"rank {self.rank} (process {self.process.pid} on {self.process.host})"


def default_device() -> torch.device:
    """The device that `--device` names; otherwise a GPU if available, or the CPU.

    Raises:
        RequestError: if torch cannot use the device.
    """
    name = os.environ.get(DEVICE, "")
    if name in ("", "cpu"):
        return torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))
    if not (match := re.fullmatch(r"cuda(?::(\d{1,3}))?", name)):
        raise RequestError(f"unknown device {name!r}. Fix: use cpu, cuda, or cuda:N")
    number = match[1]
    if int(number or 0) >= (found := torch.cuda.device_count() if torch.cuda.is_available() else 0):
        raise RequestError(f"there is no device {name}: torch can use {counted(found, 'GPU')}. Fix: use --device cpu")
    if number:
        torch.cuda.set_device(int(number))
    return torch.device("cuda")


def is_main() -> bool:
    """Whether this process writes files and messages; true if it is the only one."""
    return bool(_state().is_main_process)


def count() -> int:
    """Number of processes."""
    return int(_state().num_processes)


def on_main(work: Callable[[], Result]) -> Result:
    """Run `work` in the main process; the others wait for its result, which should be small.

    Raises:
        DdmiError: in the other processes, if the work failed in the main process.
    """
    state = _state()
    if state.num_processes == 1:
        return work()
    if not state.is_main_process:
        result, failure = _broadcast(None)
        if failure:
            raise DdmiError(f"the main process failed: {failure}")
        return result  # type: ignore[no-any-return]
    try:
        result = work()
    except BaseException as error:
        _broadcast((None, str(error) or type(error).__name__))
        raise
    _broadcast((result, ""))
    return result


def main_first(work: Callable[[], Result]) -> Result:
    """Run `work` in every process, first in the main process, so that the others can use its files.

    Raises:
        DdmiError: as for `on_main`.
    """
    done: list[Result] = []
    on_main(lambda: done.append(work()))
    return done[0] if done else work()


def from_all(work: Callable[[], Result]) -> list[Result]:
    """Run `work` in every process: the results of all, which are pickled, in the order of their ranks.

    Raises:
        DdmiError: in the other processes, if the work failed in one.
    """
    if _state().num_processes == 1:
        return [work()]
    try:
        mine, own = [work()], None
    except BaseException as error:
        mine, own = [], error
    from accelerate.utils import gather_object

    found = gather_object([(mine, str(own) or type(own).__name__)])
    if own is not None:
        raise own
    for rank, (result, failure) in enumerate(found):
        if not result:
            raise DdmiError(f"the process of rank {rank} failed: {failure}")
    return [result[0] for result, _ in found]


def share(items: Sequence[Item]) -> Sequence[Item]:
    """What this process does of a list of items: every item is one process's, and all have about as many."""
    state = _state()
    return items[state.process_index :: state.num_processes]


def lost_process(error: BaseException) -> bool:
    """Whether an error of a collective operation means that another process has ended."""
    if _state().num_processes == 1 or not isinstance(error, RuntimeError):
        return False
    return isinstance(error, torch.distributed.DistError) or any(
        word in str(error) for word in ("gloo", "Gloo", "NCCL")
    )


def peers() -> list[Peer]:
    """All processes of this run, in the order of their ranks; all have to ask at once."""
    return from_all(lambda: Peer(_state().process_index, this_process()))


def ended(known: Sequence[Peer]) -> str:
    """Those processes that have ended after the connection to one was lost, for messages.

    Of this machine, those that end within a few seconds; if there are none, all those of which it cannot be told.
    """
    end = time.monotonic() + ENDING
    while not (gone := [peer for peer in known if peer.process.ended]) and time.monotonic() < end:
        time.sleep(0.1)
    if gone:
        return f"{', '.join(map(str, gone))} {'has' if len(gone) == 1 else 'have'} ended"
    far = [str(peer) for peer in known if peer.process.ended is None]
    return f"one of {', '.join(far)} has ended" if far else "no process has ended"


def _broadcast(value: Any) -> Any:
    """The value of the main process."""
    from accelerate.utils import broadcast_object_list

    return broadcast_object_list([value])[0]


@cache
def _state() -> Any:
    from accelerate import PartialState

    initialized = torch.distributed.is_available() and torch.distributed.is_initialized()
    for name in ("WORLD_SIZE", "RANK", "LOCAL_RANK", "LOCAL_WORLD_SIZE"):
        if not os.environ.get(name, "0").strip().lstrip("-").isdecimal():
            raise RequestError(
                f"the environment variable {name} is {os.environ[name]!r}, which is no number. Fix: unset it"
            )
    state = PartialState(cpu=default_device().type == "cpu", timeout=TIMEOUT)
    if state.num_processes > 1 and not initialized:
        atexit.register(_leave)
    return state


def _leave() -> None:
    """Stop the group's threads before the interpreter exits: a thread that frees a tensor later aborts the process."""
    gc.collect()  # wrapped models hold references to the group
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
