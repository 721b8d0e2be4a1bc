"""Which share of what the machine allows do two processes of one run reach, in both stages of the images' `quick`?

Three arrangements take turns, each with one thread a process: one process; two independent processes with half of the
batch each, at the same time, which is what the machine allows; and two processes of one run (gloo), which share the
batch. The figure of an arrangement is that of its fastest interval of steps, over all rounds. On a machine that is busy
with other work, the processor time of a signal tells more: it has the copies of the exchange, and not the waiting.

    python benchmarks/two_processes.py --rounds 3
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

import torch
from attrs import evolve

from ddmi_core.diffusion.latent_diffusion import DenoisingObjective
from ddmi_core.model import latent_cache
from ddmi_core.model.build import autoencoder_objectives, build_autoencoder, build_diffusion
from ddmi_core.model.data import load_data
from ddmi_core.model.latent_store import Encoding
from ddmi_core.parts.domain_parts import build_parts
from ddmi_core.registry.registry import domain_named
from ddmi_core.settings.resolve import resolve
from ddmi_core.training import distributed
from ddmi_core.training.log import Log
from ddmi_core.training.trainer import Report, Stage, train

ARRANGEMENTS = ("one process", "two independent", "two of one run")
STAGES = ("autoencoder", "denoiser")
ENCODED = 64  # signals, whose latents are those of stage 2
LOG = 5  # steps of an interval


def measure(stage: str, share: int, steps: int, out: Path) -> None:
    """Train one stage in this process, and write the seconds of the intervals of its steps.

    Args:
        stage: `autoencoder` or `denoiser`.
        share: by which the batch of the preset is divided.
        steps: number of steps; the first interval is not counted.
        out: file for the result.
    """
    torch.set_num_threads(1)
    domain = domain_named("image")
    config = resolve(domain, "quick")
    parts = build_parts(domain, config.domain)
    split = distributed.main_first(lambda: load_data(parts, ""))
    model = build_autoencoder(parts, config)
    if stage == "autoencoder":
        training, objectives = config.autoencoder.training, autoencoder_objectives(parts, config, model, split)
    else:
        encoded = latent_cache.encode(model, split.train.part(range(ENCODED)), Encoding(), torch.device("cpu"))
        diffusion = build_diffusion(domain, config, encoded.shape, len(encoded.classes))
        latents = latent_cache.CachedLatents(encoded)
        training = config.diffusion.training
        objectives = {"denoiser": DenoisingObjective(diffusion, latents, encoded.labels)}
    training = evolve(training, steps=steps, batch=training.batch // share, log=LOG, checkpoint=10**9, precision="fp32")
    times: list[tuple[float, float]] = []

    def progress(report: Report) -> None:
        times.append((time.perf_counter(), time.process_time()))

    with tempfile.TemporaryDirectory() as own:
        place = Path(os.environ.get("SHARED", own))
        train(Stage(stage, place / stage, training, 0, Log(place / "log.jsonl"), progress=progress), objectives)
    signals = LOG * training.batch / distributed.count()  # of this process in an interval
    intervals = [(after[0] - before[0], after[1] - before[1]) for before, after in pairwise(times)]
    out.write_text(
        json.dumps([signals / min(wall for wall, _ in intervals), min(own for _, own in intervals) / signals])
    )


def arrangement(name: str, stage: str, steps: int) -> tuple[float, float]:
    """Run the processes of an arrangement at the same time: signals a second, and processor seconds a signal."""
    count = 1 if name == "one process" else 2
    share = 2 if name == "two independent" else 1
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
        if name == "two of one run":
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                port = str(free.getsockname()[1])
            environment |= {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "SHARED": folder}
        processes = []
        for rank in range(count):
            out = str(Path(folder) / f"{rank}.json")
            command = [sys.executable, __file__, "--worker", stage, str(share), str(steps), out]
            ranks = {"RANK": str(rank), "LOCAL_RANK": str(rank)} if "WORLD_SIZE" in environment else {}
            processes.append(subprocess.Popen(command, env={**environment, **ranks}))
        ends = [process.wait() for process in processes]
        if any(ends):
            raise SystemExit(f"{name}, {stage}: a process failed")
        found = [json.loads((Path(folder) / f"{rank}.json").read_text()) for rank in range(count)]
    return sum(rate for rate, _ in found), min(own for _, own in found)


def main() -> None:
    """Read the command line, and print one row for each stage."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=30, help="of each process and round")
    parser.add_argument("--worker", nargs=4, metavar=("STAGE", "SHARE", "STEPS", "OUT"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        stage, share, steps, out = arguments.worker
        measure(stage, int(share), int(steps), Path(out))
        return
    found: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for _ in range(arguments.rounds):
        for stage in STAGES:
            for name in ARRANGEMENTS:
                found.setdefault((stage, name), []).append(arrangement(name, stage, arguments.steps))
                print(f"{stage}, {name}: {found[stage, name][-1]}", file=sys.stderr, flush=True)
    print(f"torch {torch.__version__}; signals a second (processor milliseconds a signal), one thread a process")
    print(f"| stage | {' | '.join(ARRANGEMENTS)} | share of what the machine allows |\n| --- | --- | --- | --- | --- |")
    for stage in STAGES:
        rates = [max(rate for rate, _ in found[stage, name]) for name in ARRANGEMENTS]
        work = [min(own for _, own in found[stage, name]) for name in ARRANGEMENTS]
        cells = [f"{rate:.1f} ({1000 * own:.1f})" for rate, own in zip(rates, work, strict=True)]
        print(f"| {stage} | {' | '.join(cells)} | {rates[2] / rates[1]:.0%} ({work[1] / work[2]:.0%}) |")


if __name__ == "__main__":
    main()
