"""Reading of batches ahead of the steps, by worker processes or in the step, with the same result."""

from __future__ import annotations

import pickle
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from attrs import frozen
from torch.utils.data import DataLoader, Dataset

from ddmi_core import allowance
from ddmi_core.draws import BatchGenerator
from ddmi_core.errors import ConfigError, DataError, DdmiError, TrainingError
from ddmi_core.nested import mapped
from ddmi_core.out_of_memory import is_out_of_memory
from ddmi_core.training.objective import Objective, indices_for

AHEAD = 2  # batches that a worker reads ahead
MOST = 8  # workers that are chosen
QUICK = 2e-3  # seconds below which a batch is read in the step
WAIT = 25e-3  # seconds of waiting for a batch that count; a busy machine delays by less
TRIED = 3  # batches whose reading is timed
GRACE = 60  # seconds that a worker outlives SIGTERM, which the main process may use to end its step and save
DIED = "DataLoader worker"  # begins torch's messages about a worker that has ended


@frozen
class Part:
    """The part of a step's batch that a process computes at once."""

    step: int
    first: int  # place of its first signal in the batch
    indices: tuple[int, ...]


@frozen(eq=False)
class Parts(Dataset[Any]):
    """All parts that a process computes for an objective, in order, by number.

    What is read for a part depends on these arguments and its number alone.

    Args:
        objective: that reads them.
        seed: of the run.
        stage: name of the stage.
        name: of the objective.
        batch: signals of a step, over all processes.
        each: parts of a step that a process computes.
        rank: of the process.
        processes: how many share the batch.
    """

    objective: Objective
    seed: int
    stage: str
    name: str
    batch: int
    each: int = 1
    rank: int = 0
    processes: int = 1

    def part(self, number: int) -> Part:
        """The part with a number."""
        step, place = divmod(number, self.each)
        size = self.batch // (self.each * self.processes)
        first = (self.rank * self.each + place) * size
        indices = indices_for(self.seed, step, self.objective.size, self.batch)[first : first + size]
        return Part(step, first, indices)

    def generator(self, part: Part, purpose: str, device: torch.device | str = "cpu") -> BatchGenerator:
        """Source of the random numbers of a part, for reading it or for the rest of the step."""
        return BatchGenerator(part.first, self.seed, self.stage, self.name, part.step, purpose, device=device)

    def __getitem__(self, number: int) -> _Read:
        """What the objective reads for a part."""
        return self.read(self.part(number))

    def read(self, part: Part) -> _Read:
        """What the objective reads for a part, or the error.

        An error is returned instead of raised, so that one of a worker keeps its class and sentence.
        """
        try:
            return _Read(self.objective.read(part.step, part.indices, self.generator(part, "read")))
        except Exception as error:
            return _Read(error=self._named(part, error))

    def _named(self, part: Part, error: Exception) -> Exception:
        """The error with the name of the signal that cannot be read, if it is one alone."""
        for index in part.indices:
            try:
                self.objective.read(part.step, (index,), self.generator(part, "read"))
            except Exception as own:
                if is_out_of_memory(own):
                    return own
                name = self.objective.name_of(index)
                if isinstance(own, DdmiError) and name in str(own):
                    return own
                reason = str(own) if isinstance(own, DdmiError) else f"{type(own).__name__}: {own}"
                found = DataError(f"signal {name!r} cannot be read: {reason}")
                found.__cause__ = own
                return found
        return error


@frozen
class _Read:
    """What was read, or why it could not be."""

    item: Any = None
    error: Exception | None = None

    def pin_memory(self) -> _Read:
        """In memory from which a GPU copies; torch calls it in its thread for this."""
        return _Read(mapped(self.item, torch.Tensor.pin_memory), self.error)


class Reader:
    """Gives parts in order, with what was read for them.

    Args:
        parts: of the process and objective.
        numbers: of the parts that are to be read.
        workers: processes that read ahead; 0 reads in the step, and -1 chooses.
        device: on which the steps are computed.

    Raises:
        ConfigError: if there are to be workers, and they cannot be.
    """

    def __init__(self, parts: Parts, numbers: range, workers: int, device: torch.device) -> None:
        self.parts = parts
        self.waited, self.began = 0.0, 0.0  # seconds of waiting after the first batch, and when that one was there
        self.workers, self._numbers = _chosen(parts, numbers, workers, device), iter(numbers)
        self._ahead: Iterator[_Read] | None = None
        if self.workers:
            with warnings.catch_warnings():  # more workers than cores are no mistake: they wait for files
                warnings.filterwarnings("ignore", "This DataLoader will create", UserWarning)
                loader = DataLoader(
                    _Compact(parts),
                    batch_size=None,
                    sampler=numbers,
                    num_workers=self.workers,
                    collate_fn=_unchanged,
                    pin_memory=device.type == "cuda",
                    prefetch_factor=AHEAD,
                    multiprocessing_context="fork",
                    worker_init_fn=_begin,
                    generator=torch.Generator(),  # else it draws from the global one
                )
                self._ahead = iter(loader)

    def next(self) -> tuple[Part, Any]:
        """The next part, and what was read for it.

        Raises:
            DataError: if a signal cannot be read; the message names it.
        """
        number, began = next(self._numbers), time.perf_counter()
        part = self.parts.part(number)
        read = self.parts.read(part) if self._ahead is None else self._received(self._ahead)
        now = time.perf_counter()
        if self.began:
            self.waited += now - began
        self.began = self.began or now
        if read.error is not None:
            raise read.error
        return part, read.item

    def _received(self, ahead: Iterator[_Read]) -> _Read:
        try:
            return next(ahead)
        except (ConnectionError, EOFError, FileNotFoundError) as error:  # while a tensor of a dead worker is fetched
            raise RuntimeError(f"{DIED} has left: {type(error).__name__}") from error

    def close(self) -> None:
        """End the workers."""
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            ahead._shutdown_workers()  # type: ignore[attr-defined]  # else they end with the last reference


@contextmanager
def ended(readers: list[Reader]) -> Iterator[None]:
    """End the workers of all readers after the block.

    Raises:
        TrainingError: if a worker has died, which torch tells at any place in the block or while the workers end.
    """
    try:
        try:
            yield
        finally:
            for reader in readers:
                reader.close()
    except RuntimeError as error:
        if not str(error).startswith(DIED):
            raise
        raise TrainingError(
            f"a process that reads signals ahead has died ({error}). Fix: continue with --resume; if memory was short, "
            "use a lower training.workers, or 0 to read in the step"
        ) from error


class _Compact(Dataset[Any]):
    """Parts for worker processes, which share whole storages of tensors: views of larger ones are copied."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts

    def __getitem__(self, number: int) -> _Read:
        read = self.parts[number]
        if read.error is not None:
            told = "".join(traceback.format_exception(read.error))
            read.error.add_note(f"In the process that reads ahead:\n{told}")  # a traceback is not pickled
            try:
                pickle.loads(pickle.dumps(read.error))
            except Exception:
                return _Read(error=DataError(f"{type(read.error).__name__}: {read.error}"))
        return _Read(mapped(read.item, _owned), read.error)


def _owned(tensor: torch.Tensor) -> torch.Tensor:
    return tensor if tensor.untyped_storage().nbytes() <= tensor.nbytes else tensor.clone()


def _unchanged(read: Any) -> Any:
    return read


def _begin(worker: int) -> None:
    """Leave stop requests, which a terminal or scheduler sends to all processes, to the main process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: signal.alarm(GRACE))


def _chosen(parts: Parts, numbers: range, workers: int, device: torch.device) -> int:
    """The number of workers."""
    reads = type(parts.objective).read is not Objective.read
    if not workers or not reads or not numbers:
        return 0
    if sys.platform != "linux":
        if workers > 0:
            raise ConfigError("training.workers needs Linux. Fix: set it to 0", "training.workers")
        return 0
    times = []
    for number in numbers[:TRIED] if workers < 0 else numbers[:1]:
        began, worked = time.perf_counter(), time.process_time()
        read = parts[number]
        times.append((time.perf_counter() - began, time.process_time() - worked))
        if read.error is not None:
            raise read.error
    try:
        pickle.dumps(mapped(read.item, lambda tensor: tensor[:0] if tensor.ndim else tensor))
    except Exception as error:
        if workers > 0:
            raise ConfigError(
                f"training.workers = {workers}, but signals cannot be sent between processes: {error}. Fix: define "
                "their class at the top of a module, or set training.workers to 0",
                "training.workers",
            ) from error
        return 0
    return workers if workers > 0 else suitable(*min(times), device, allowance.cores() // parts.processes)


def suitable(seconds: float, busy: float, device: torch.device, cores: int) -> int:
    """A number of workers.

    Args:
        seconds: that reading a batch takes.
        busy: seconds of these in which a core works.
        device: on which the steps are computed.
        cores: for this process and its workers.
    """
    if seconds < QUICK:
        return 0
    if busy < seconds / 2 and seconds - busy > WAIT:  # for a disk or network, so workers need no cores
        return MOST
    return min(MOST, cores - 1) if device.type == "cuda" else 0
