"""Memory of the Fréchet distance from streamed moments, for more and more rows of features.

    OMP_NUM_THREADS=1 python benchmarks/streamed_statistics.py --rows 1000 10000 50000 --width 512

Each line is a process of its own, which draws features in batches of 500 rows, adds them to the moments of two sets,
and computes the distance. The columns are the growth of the peak resident memory from before the first batch to after
the distance, the size of the features if they were kept, and seconds. The program fails if the growth is larger for
the last number of rows than for the first one, by more than the tolerance.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time

import torch

from ddmi_core.evaluation.distances import Moments, frechet

BATCH = 500
UNIT = 1 if sys.platform == "darwin" else 1024  # bytes of a unit of `ru_maxrss`


def peak() -> float:
    """Peak resident memory of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * UNIT / 1e6


def measured(rows: int, width: int) -> dict[str, float]:
    """Growth of the peak memory in MB, distance, and seconds."""
    generator = torch.Generator().manual_seed(0)
    torch.linalg.svdvals(torch.eye(8, dtype=torch.float64))  # loads the libraries
    before, started = peak(), time.perf_counter()
    sets = Moments(), Moments()
    for start in range(0, rows, BATCH):
        for number, moments in enumerate(sets):
            moments.add(torch.randn(min(BATCH, rows - start), width, generator=generator) * (1 + number / 10))
    distance = frechet(*sets)
    return {"growth": peak() - before, "distance": distance, "seconds": time.perf_counter() - started}


def main() -> None:
    """Measure each number of rows in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[1000, 10000, 50000])
    parser.add_argument("--width", type=int, default=512, help="features of a row")
    parser.add_argument("--tolerance", type=float, default=4.0, help="MB")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        print(json.dumps(measured(asked.rows[0], asked.width)))
        return
    growths = []
    print("   rows  growth of the peak  both sets as float32   distance  seconds")
    for rows in asked.rows:
        command = [sys.executable, __file__, "--one", "--rows", str(rows), "--width", str(asked.width)]
        found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        growths.append(found["growth"])
        kept = 2 * rows * asked.width * 4 / 1e6
        print(
            f"{rows:7}  {found['growth']:15.1f} MB  {kept:17.1f} MB  {found['distance']:9.4f}  {found['seconds']:7.1f}"
        )
    if growths[-1] > growths[0] + asked.tolerance:
        raise SystemExit(f"memory grows with the number of rows: {growths[0]:.1f} MB to {growths[-1]:.1f} MB")


if __name__ == "__main__":
    main()
