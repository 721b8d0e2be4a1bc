"""Peak memory of both stages with many signals or large latents: start, a few steps, a stop, and resuming.

Every phase is a process of its own, whose peak is compared with its memory before the data are there (libraries and
models). Signals are computed by formula when they are read. `--floats` replaces the encoder by one without weights that
gives latents of this length, so that encoding takes minutes.

    python benchmarks/many_signals.py --signals 1000000 --floats 64
    python benchmarks/many_signals.py --signals 20000 --floats 262144
"""

from __future__ import annotations

import argparse
import hashlib
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from attrs import evolve
from torch import nn

from ddmi_core.api import Layout, SignalSet
from ddmi_core.api.signals import Split
from ddmi_core.diffusion.config import DenoiserConfig, DiffusionConfig
from ddmi_core.diffusion.latent_diffusion import DenoisingObjective, LatentDiffusion
from ddmi_core.errors import Interrupted
from ddmi_core.fields.planes import Planes, Posterior
from ddmi_core.model import latent_cache
from ddmi_core.model.build import autoencoder_objectives, build_autoencoder
from ddmi_core.model.latent_store import Encoding
from ddmi_core.parts import GridSignal
from ddmi_core.parts.domain_parts import build_parts
from ddmi_core.registry.registry import domain_named
from ddmi_core.settings.resolve import resolve
from ddmi_core.training.config import TrainingConfig
from ddmi_core.training.log import Log
from ddmi_core.training.objective import Objective
from ddmi_core.training.shutdown import StopRequest
from ddmi_core.training.trainer import Report, Stage, train

PHASES = ("stage 1", "stage 1 resumed", "encoding", "stage 2", "stage 2 resumed")
STEPS, STOP = 12, 6
SETTINGS = ("domain.size=16", "autoencoder.training.batch=16", "autoencoder.points=64")


class Waves(SignalSet):
    """Pictures of plane waves, computed when they are read; signal i has the wave with number i."""

    classes = ("slow", "fast")

    def __init__(self, count: int, size: int) -> None:
        self.names = [f"wave {number}" for number in range(count)]
        self.labels = torch.arange(count) % 2
        self.size = size

    def batch(self, indices: Sequence[int], generator: torch.Generator | None = None) -> GridSignal:
        """The waves with these numbers: `(B, 3, size, size)`."""
        numbers = torch.tensor(list(indices), dtype=torch.float32).view(-1, 1, 1, 1)
        line = torch.linspace(-1, 1, self.size)
        phase = torch.arange(3).view(1, 3, 1, 1) + 0.37 * numbers
        return GridSignal(torch.sin(line * (1 + numbers % 7) + line.view(-1, 1) * (1 + numbers % 5) + phase))

    def fingerprint(self) -> str:
        """Digest of the formula's arguments."""
        return hashlib.sha256(f"waves {len(self.names)} {self.size}".encode()).hexdigest()


class Wide(nn.Module):
    """An encoder without weights: latents of any length, from the mean of the signal."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.ramp = torch.linspace(-1, 1, 4 * side * side).view(1, 4, side, side)

    def encode(self, signal: GridSignal) -> Posterior:
        """Posteriors of a plane with 4 channels."""
        mean = signal.values.mean(dim=(1, 2, 3)).view(-1, 1, 1, 1) * 5 + self.ramp
        return Posterior(Planes([mean]), Planes([torch.zeros_like(mean)]))


def memory(peak: bool = False) -> float:
    """Memory of this process in MiB: now, or its peak."""
    if peak:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 2**10


def phase(name: str, folder: Path, count: int, floats: int) -> str:
    """Run one phase, and return its row of the table."""
    domain = domain_named("image")
    config = resolve(domain, "quick", overrides=SETTINGS)
    parts, device = build_parts(domain, config.domain), torch.device("cpu")
    autoencoder = build_autoencoder(parts, config)
    side = int((floats / 4) ** 0.5)
    encoder: Any = Wide(side) if floats else autoencoder
    base, began = memory(), time.monotonic()
    signals = Waves(count, 16)
    done = ""
    if name.startswith("stage 1"):
        objectives = autoencoder_objectives(parts, config, autoencoder, Split(signals, signals))
        done = steps(name, folder, config.autoencoder.training, objectives)
    elif name == "encoding":
        latent_cache.store(folder / "latents", encoder, signals, Encoding(), device, signals.fingerprint(), "weights")
        size = sum(path.stat().st_size for path in (folder / "latents").rglob("*") if path.is_file())
        done = f"{size / 2**30:.2f} GiB"
    else:
        encoded = latent_cache.load(folder / "latents", signals.fingerprint(), "weights")
        patch = max(1, encoded.shape.grids[0][0] // 16)  # at most 256 tokens
        sizes = DenoiserConfig(kind="transformer", width=32, blocks=1, heads=2, patch=patch)
        layout = Layout(axes=("y", "x"), planes=(("y", "x"),))
        model = LatentDiffusion(layout, encoded.shape, 2, DiffusionConfig(denoiser=sizes))
        objective = DenoisingObjective(model, latent_cache.CachedLatents(encoded), encoded.labels)
        training = TrainingConfig(batch=2 if floats > 4096 else 64, checkpoint=10**6, warmup=1)
        done = steps(name, folder, training, {"denoiser": objective})
    return f"| {name} | {done} | {time.monotonic() - began:.1f} | {base:.0f} | {memory(peak=True) - base:.0f} |"


def steps(name: str, folder: Path, config: TrainingConfig, objectives: Mapping[str, Objective]) -> str:
    """Train to the middle and stop, or from there to the end."""
    stop, seen = StopRequest(), list[int]()

    def progress(report: Report) -> None:
        seen.append(report.step)
        if report.step == STOP and not name.endswith("resumed"):
            stop.signal_number = 15

    place = folder / name.removesuffix(" resumed")
    config = evolve(config, steps=STEPS, log=1)
    with suppress(Interrupted):
        train(Stage(place.name, place, config, 0, Log(folder / "log"), stop=stop, progress=progress), objectives)
    return f"steps {seen[0]} to {seen[-1]}"


def main() -> None:
    """Read the command line, and print a table with one row for each phase."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--signals", type=int, default=100_000)
    parser.add_argument("--floats", type=int, default=0, help="length of a latent; by default that of a small encoder")
    parser.add_argument("--folder", type=Path, help="for files, which are removed; by default that for temporary ones")
    parser.add_argument("--phase", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.phase:
        print(phase(arguments.phase, arguments.folder, arguments.signals, arguments.floats), flush=True)
        return
    folder = Path(tempfile.mkdtemp(prefix="ddmi-many-", dir=arguments.folder))
    print("| phase | done | seconds | MiB before | peak above it |\n| --- | --- | --- | --- | --- |", flush=True)
    try:
        for name in PHASES:
            words = ["--signals", str(arguments.signals), "--floats", str(arguments.floats), "--folder", str(folder)]
            subprocess.run([sys.executable, __file__, *words, "--phase", name], check=True)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
