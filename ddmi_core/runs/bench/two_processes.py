"""The share of what the machine allows that two processes of one training reach."""

from __future__ import annotations

import os
import socket
import warnings
from contextlib import suppress
from functools import cache
from multiprocessing import get_all_start_methods, get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import torch
from attrs import evolve

from ddmi_core.errors import DdmiError
from ddmi_core.model.model import Model, load
from ddmi_core.runs.bench.bench_result import Measurement
from ddmi_core.runs.bench.training_speed import STAGES, objectives, step_times

PROCESSES = 2
PATIENCE = 120.0  # seconds until a process that tells nothing is given up
PARTS = 3  # of the steps, each of which gives a value
METHOD = "fork"  # of a process that has imported everything, which takes seconds


class Pairs:
    """Pairs of processes that train at the same time with one thread each, within a `with` block.

    They are forked when the block begins: the process that begins it must not have computed anything, because threads
    of a computation do not exist in a fork.

    Args:
        run: folder of the run whose settings are measured; `None` for the weights of a plugin.
        plugin: its plugin; see `ddmi_core.load`.
        seconds: of each measurement.
    """

    def __init__(self, run: Path | None, plugin: str, seconds: float) -> None:
        self.run, self.plugin, self.seconds = run, plugin, seconds
        self.started: list[BaseProcess] = []
        self.connections: list[Connection] = []

    @staticmethod
    def possible() -> bool:
        """Whether the system can start such processes."""
        return METHOD in get_all_start_methods()

    def __enter__(self) -> Pairs:
        """Fork all processes, which wait: first two independent ones, then two of one run."""
        import accelerate  # noqa: F401  the first training would import both
        import torch._dynamo  # noqa: F401

        context: Any = get_context(METHOD)  # the type of contexts lacks `Process`
        port = _free_port()
        for number in range(2 * PROCESSES):
            joined, rank = divmod(number, PROCESSES)
            ranks = {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(PROCESSES)}
            place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
            ours, theirs = context.Pipe()
            self.connections.append(ours)
            given = (theirs, list(self.connections), {**ranks, **place} if joined else {}, self.run, self.plugin)
            process = context.Process(target=_work, args=given, daemon=True)
            process.start()
            theirs.close()
            self.started.append(process)
        return self

    def __exit__(self, *_: object) -> None:
        """End them."""
        for process in self.started:
            process.kill()
            process.join()

    def measure(self) -> list[Measurement]:
        """For each stage, the signals per second of two processes of one run, as a share of two independent ones.

        Raises:
            DdmiError: if a process fails, or tells nothing for two minutes.
        """
        found = []
        for stage in STAGES:
            alone, steps = self._rates(stage, False, 0)
            joined, _ = self._rates(stage, True, steps)
            shares = [100 * ours / theirs for ours, theirs in zip(joined, alone, strict=True)]
            note = "of two independent ones, one thread each"
            found.append(Measurement(f"{stage}: two processes of one run", "%", shares, note=note))
        return found

    def _rates(self, stage: str, joined: bool, steps: int) -> tuple[list[float], int]:
        """Signals per second of both processes together, one value for each part of the steps; the number of steps.

        Args:
            stage: its name.
            joined: whether they are of one run.
            steps: how many count; 0 for those that fit into the time.
        """
        pair = self.connections[PROCESSES * joined :][:PROCESSES]
        for connection in pair:
            with suppress(OSError):  # it has ended, as is told below
                connection.send((stage, self.seconds, steps))
        told = [_told(connection, stage) for connection in pair]
        least = min(len(rates) for rates in told)
        count = max(1, least // PARTS)
        return [sum(_rate(rates, k * count, count) for rates in told) for k in range(min(least, PARTS))], least


def _rate(rates: list[float], start: int, count: int) -> float:
    """Signals per second of some of the steps."""
    return count / sum(1 / rate for rate in rates[start : start + count])


def _told(connection: Connection, stage: str) -> list[float]:
    try:
        answer = connection.recv() if connection.poll(PATIENCE) else f"nothing for {PATIENCE:.0f} s"
    except (EOFError, OSError):
        answer = "it ended"
    if isinstance(answer, str):
        raise DdmiError(f"two processes of the stage {stage!r}: {answer}")
    return list(answer)


def _work(
    connection: Connection, others: list[Connection], environment: dict[str, str], run: Path | None, plugin: str
) -> None:
    """Train each stage that is asked for, and tell signals per second of each step, or why not."""
    for other in others:  # ends of the process that asks, whose end nobody would see
        other.close()
    # Without the first one, accelerate gives each process a thread for each core.
    os.environ.update(environment, OMP_NUM_THREADS="1", CUDA_VISIBLE_DEVICES="")
    torch.set_num_threads(1)
    # Gradients of 1 x 1 kernels have other strides than the weights, in which the numbers have the same order.
    warnings.filterwarnings("ignore", "Grad strides do not match", UserWarning)
    try:
        while True:
            stage, seconds, steps = connection.recv()
            connection.send(_rates_of_steps(stage, seconds, steps, bool(environment), run, plugin))
    except (EOFError, OSError, KeyboardInterrupt):  # the process that asks has ended, or will
        pass
    except BaseException as error:
        connection.send(f"{type(error).__name__}: {error}")


@cache
def _model(run: Path | None, plugin: str) -> Model:
    """The model of this process."""
    return load(run, plugin=plugin or None, device="cpu")


def _rates_of_steps(stage: str, seconds: float, steps: int, joined: bool, run: Path | None, plugin: str) -> list[float]:
    """Signals per second of each step of this process."""
    model = _model(run, plugin)
    training, players = objectives(model.parts, model.config, stage, model.shape, len(model.classes), model.vectors)
    # Two processes of one run divide the batch; independent ones get half of it each.
    each = max(1, training.batch // PROCESSES)
    config = evolve(training, batch=each * (PROCESSES if joined else 1), accumulation=1)
    return [each / one for one in step_times(stage, players, config, "fp32", seconds, steps)]


def _free_port() -> int:
    """A port that no program listens at."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port
