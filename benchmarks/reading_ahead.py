"""How long steps wait for a reader that takes 30 ms a signal, with and without workers.

The reader sleeps, as one that waits for a disk or network; the step sleeps as well, so that a machine with one core
shows what a GPU does. The result must be the same numbers for any number of workers.

    python benchmarks/reading_ahead.py
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

import torch
from torch import nn

from ddmi_core.training.meter import Meter
from ddmi_core.training.objective import Losses, Objective, StepContext
from ddmi_core.training.read_ahead import Parts, Reader


class Slow(Objective):
    """Reads signals that take a while.

    Args:
        seconds: per signal.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.trained, self.size, self.seconds = nn.Linear(1, 1), 10_000, seconds

    def read(self, step: int, indices: Sequence[int], generator: torch.Generator) -> torch.Tensor:
        """Random numbers `(B, 3, 64, 64)`."""
        time.sleep(self.seconds * len(indices))
        return torch.rand(len(indices), 3, 64, 64, generator=generator)

    def forward(self, context: StepContext) -> Losses:
        """Nothing is trained."""
        raise NotImplementedError


def main() -> None:
    """Read the command line, and print a table with one row for each number of workers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--signal", type=float, default=0.030, help="seconds that reading a signal takes")
    parser.add_argument("--step", type=float, default=0.150, help="seconds that a step takes")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--steps", type=int, default=100)
    arguments = parser.parse_args()
    print("| workers | seconds to the first batch | seconds | share of waiting after it | digest |")
    print("| --- | --- | --- | --- | --- |")
    for workers in (0, 2, 4, 8, -1):
        parts = Parts(Slow(arguments.signal), seed=0, stage="stage", name="slow", batch=arguments.batch)
        began = time.monotonic()
        reader = Reader(parts, range(arguments.steps), workers, torch.device("cpu"))
        meter = Meter([reader], torch.device("cpu"))
        total, first = 0.0, 0.0
        for number in range(arguments.steps):
            _, batch = reader.next()
            if not number:
                first, started = time.monotonic() - began, time.monotonic()
            total += float(batch.double().sum())
            time.sleep(arguments.step)
        seconds = time.monotonic() - started
        print(
            f"| {reader.workers}{' (chosen)' if workers < 0 else ''} | {first:.2f} | {seconds:.1f} "
            f"| {meter.read()['waiting_percent']:.1f} % | {total:.6f} |",
            flush=True,
        )
        reader.close()


if __name__ == "__main__":
    main()
