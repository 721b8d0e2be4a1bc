"""The share of what the machine allows that two processes of one training reach."""

from __future__ import annotations

import os
import socket
import warnings
from multiprocessing import get_all_start_methods, get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
from attrs import evolve

from ddmi_core.errors import DdmiError
from ddmi_core.model.model import load
from ddmi_core.runs.bench.bench_result import Measurement
from ddmi_core.runs.bench.training_speed import STAGES, objectives, step_times

PROCESSES = 2
PATIENCE = 120.0  # seconds until a process that tells nothing is given up
PARTS = 3  # of the steps, each of which gives a value
METHOD = "forkserver"  # starts processes from one that has imported everything, and computed nothing


class Pairs:
    """Pairs of processes that train at the same time with one thread each, and end with the context.

    Args:
        run: folder of the run whose settings are measured; `None` for the weights of a plugin.
        plugin: its plugin; see `ddmi_core.load`.
        seconds: of each measurement.
    """

    def __init__(self, run: Path | None, plugin: str, seconds: float) -> None:
        self.run, self.plugin, self.seconds = run, plugin, seconds
        self.context: Any = get_context(METHOD)  # the type of contexts lacks `Process`
        self.context.set_forkserver_preload(["accelerate", __name__])

    @staticmethod
    def possible() -> bool:
        """Whether the system can start such processes."""
        return METHOD in get_all_start_methods()

    def prepare(self) -> None:
        """Start the process that imports everything, beside other work."""
        self.context.Process(target=_nothing).start()

    def measure(self) -> list[Measurement]:
        """For each stage, the signals per second of two processes of one run, as a share of two independent ones.

        Raises:
            DdmiError: if a process fails, or tells nothing for two minutes.
        """
        found = []
        for stage in STAGES:
            alone, joined = self._rates(stage, False), self._rates(stage, True)
            shares = [100 * ours / theirs for ours, theirs in zip(joined, alone, strict=True)]
            note = "of two independent ones, one thread each"
            found.append(Measurement(f"{stage}: two processes of one run", "%", shares, note=note))
        return found

    def _rates(self, stage: str, joined: bool) -> list[float]:
        """Signals per second of both processes together, one value for each part of the steps."""
        port = _free_port()
        started = []
        for rank in range(PROCESSES):
            ours, theirs = self.context.Pipe(duplex=False)
            ranks = {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(PROCESSES)} if joined else {}
            place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)} if joined else {}
            given = (theirs, {**ranks, **place}, self.run, self.plugin, stage, self.seconds)
            process = self.context.Process(target=_train, args=given, daemon=True)
            process.start()
            theirs.close()
            started.append((process, ours))
        try:
            told = [_told(connection, stage) for _, connection in started]
        finally:
            for process, _ in started:
                process.kill()
                process.join()
        return [sum(part) for part in zip(*told, strict=True)]


def _nothing() -> None:
    """The work of a process that only starts the others' common one."""


def _told(connection: Connection, stage: str) -> list[float]:
    try:
        answer = connection.recv() if connection.poll(PATIENCE) else f"nothing for {PATIENCE:.0f} s"
    except EOFError:
        answer = "it ended"
    if isinstance(answer, str):
        raise DdmiError(f"two processes of the stage {stage!r}: {answer}")
    return list(answer)


def _train(
    connection: Connection, environment: dict[str, str], run: Path | None, plugin: str, stage: str, seconds: float
) -> None:
    """Train in this process, and tell signals per second of each part of the steps, or why not."""
    # Without the first one, accelerate gives each process a thread for each core.
    os.environ.update(environment, OMP_NUM_THREADS="1", CUDA_VISIBLE_DEVICES="")
    torch.set_num_threads(1)
    # Gradients of 1 x 1 kernels have other strides than the weights, in which the numbers have the same order.
    warnings.filterwarnings("ignore", "Grad strides do not match", UserWarning)
    try:
        training, players = objectives(load(run, plugin=plugin or None, device="cpu"), stage)
        # Two processes of one run divide the batch; independent ones get half of it each.
        batch = max(1, training.batch // PROCESSES) * (PROCESSES if environment else 1)
        config = evolve(training, batch=batch, accumulation=1)
        each = batch / (PROCESSES if environment else 1)
        times = step_times(stage, players, config, "fp32", seconds)
        count = max(1, len(times) // PARTS)
        parts = [times[min(len(times) - 1, k * count) :][:count] for k in range(PARTS)]
        connection.send([each * len(part) / sum(part) for part in parts])
    except BaseException as error:
        connection.send(f"{type(error).__name__}: {error}")
    connection.close()


def _free_port() -> int:
    """A port that no program listens at."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port
