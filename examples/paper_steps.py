"""Two training steps of each stage of a preset at its full size, on the CPU: seconds and peak memory.

    python examples/paper_steps.py occupancy paper
    python examples/paper_steps.py image paper-afhq --stage 2 --set diffusion.denoiser.width=64
    python examples/paper_steps.py                       # every preset `paper` of the built-in plugins

A step takes two parts of one signal. The signals have the shape of the data and random values, so nothing is
downloaded: LPIPS, whose weights would be, is left out, unless `--set autoencoder.perceptual.kind=lpips` asks for it. A
discriminator, where there is one, is trained from the second step on. Numbers have 32 bits, and nothing is compiled.

The stages run in processes of their own. Stage 2 encodes signals as the preset does, at every step where
`diffusion.latents` is `fresh`. A denoiser takes 20 bytes of memory a parameter (weights, gradients, two moments and
the moving average with 4 each), beside the autoencoder, activations and libraries. `ddmi doctor --plugin NAME --preset
NAME` prints the parameters. Seconds of a core do not count the time that other programs take.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from attrs import evolve, fields, has
from torch import Tensor

from ddmi_core.api import SignalSet, Split
from ddmi_core.diffusion.latent_diffusion import DenoisingObjective, LatentSource
from ddmi_core.model import latent_cache
from ddmi_core.model.build import autoencoder_objectives, build_autoencoder, build_diffusion
from ddmi_core.model.latent_store import Encoding
from ddmi_core.parts.domain_parts import AnyParts, build_parts, implementation
from ddmi_core.registry.registry import domain_named
from ddmi_core.settings.config import RunConfig
from ddmi_core.settings.resolve import resolve
from ddmi_core.training.log import Log
from ddmi_core.training.objective import Objective
from ddmi_core.training.trainer import Report, Stage, train

PLUGINS = ("image", "nerf", "occupancy", "video")
STAGES = ("autoencoder", "diffusion")
SIGNALS = 2
STEPS, BATCH, PARTS = 2, 2, 2


class Noise(SignalSet):
    """Signals with the shape of the domain's data, and random numbers for values."""

    def __init__(self, parts: AnyParts) -> None:
        self.blank, self.classes = parts.blank(), ()
        self.names = [f"signal {number}" for number in range(SIGNALS)]
        self.labels = torch.zeros(SIGNALS, dtype=torch.long)

    def batch(self, indices: Sequence[int], generator: torch.Generator | None = None) -> Any:
        """As many signals as there are indices; they differ with the seed of the first."""
        draw = torch.Generator().manual_seed(int(indices[0]))
        return filled(self.blank, len(indices), draw)

    def fingerprint(self) -> str:
        """The same for all."""
        return "noise"


def filled(item: Any, count: int, draw: torch.Generator) -> Any:
    """Tensors `(count, ...)` in place of `(1, ...)`, uniform in [-1, 1] where the blank signal is zero."""
    if isinstance(item, Tensor):
        whole = item.expand(count, *item.shape[1:])
        if not item.is_floating_point() or item.any():
            return whole.clone()
        return 2 * torch.rand(whole.shape, generator=draw) - 1
    if isinstance(item, tuple):
        return type(item)(filled(part, count, draw) for part in item)
    if not has(type(item)):
        return item
    return evolve(item, **{part.name: filled(getattr(item, part.name), count, draw) for part in fields(type(item))})


def configured(plugin: str, preset: str, sets: Sequence[str]) -> tuple[AnyParts, RunConfig]:
    """The parts, and the configuration with short stages."""
    training = {
        "steps": STEPS,
        "batch": BATCH,
        "accumulation": PARTS,
        "log": 1,
        "precision": "fp32",
        "compile": "false",
    }
    short = [f"{stage}.training.{key}={value}" for stage in STAGES for key, value in training.items()]
    domain = domain_named(plugin)
    config = resolve(domain, preset)
    if config.autoencoder.adversarial.start:
        short.append("autoencoder.adversarial.start=1")
    if config.autoencoder.perceptual.kind == "lpips":
        short.append("autoencoder.perceptual.kind=none")
    config = resolve(domain, preset, overrides=[*short, *sets])
    return build_parts(domain, config.domain), config


def objectives(parts: AnyParts, config: RunConfig, stage: str) -> dict[str, Objective]:
    """What a stage trains."""
    signals = Noise(parts)
    autoencoder = build_autoencoder(parts, config)
    if stage == "autoencoder":
        return autoencoder_objectives(parts, config, autoencoder, Split(signals, signals))
    fresh = config.diffusion.latents == "fresh"
    encoded = latent_cache.encode(autoencoder, signals, Encoding(seed=config.seed, drawn=fresh), torch.device("cpu"))
    latents: LatentSource = latent_cache.CachedLatents(encoded)
    if fresh:
        latents = latent_cache.FreshLatents(autoencoder, signals, encoded)
    diffusion = build_diffusion(parts.domain, config, encoded.shape, 1)
    return {"denoiser": DenoisingObjective(diffusion, latents, signals.labels)}


def steps(plugin: str, preset: str, stage: str, sets: Sequence[str]) -> None:
    """Train a stage for two steps, and print what it took."""
    parts, config = configured(plugin, preset, sets)
    players = objectives(parts, config, stage)
    numbers = {name: sum(p.numel() for p in player.trained.parameters()) for name, player in players.items()}
    moments, worked = [time.monotonic()], [time.process_time()]
    losses: list[float] = []

    def progress(state: Report) -> None:
        moments.append(time.monotonic())
        worked.append(time.process_time())
        losses.append(state.loss)

    training = config.autoencoder.training if stage == "autoencoder" else config.diffusion.training
    with tempfile.TemporaryDirectory(prefix="ddmi-steps-") as folder:
        place = Path(folder)
        train(Stage(stage, place / stage, training, config.seed, Log(place / "log.jsonl"), progress=progress), players)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    took, used = (", ".join(f"{b - a:.1f}" for a, b in pairwise(clock)) for clock in (moments, worked))
    sizes = ", ".join(f"{name} {number / 1e6:.1f} M" for name, number in numbers.items())
    values = ", ".join(f"{loss:.4g}" for loss in losses)
    print(
        f"{plugin} {preset}, {stage} ({sizes}): {took} s a step ({used} s of a core), "
        f"peak {peak:.1f} GiB, losses {values}",
        flush=True,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the stages, one process after another; the exit status is 1 if one fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("plugin", nargs="?", default="")
    parser.add_argument("preset", nargs="?", default="paper")
    parser.add_argument("--stage", choices=("1", "2"))
    parser.add_argument("--set", action="append", default=[], dest="sets", metavar="KEY=VALUE")
    parser.add_argument("--here", action="store_true", help="no process of its own")
    given = parser.parse_args(arguments)
    stages = STAGES if given.stage is None else (STAGES[int(given.stage) - 1],)
    if given.here:
        for stage in stages:
            steps(given.plugin, given.preset, stage, given.sets)
        return 0
    wanted = [(given.plugin, given.preset)]
    if not given.plugin:
        wanted = [(name, preset) for name in PLUGINS for preset in implementation(domain_named(name)).presets()]
        wanted = [(name, preset) for name, preset in wanted if preset.startswith("paper")]
    failed = 0
    for plugin, preset in wanted:
        for stage in stages:
            command = [sys.executable, __file__, plugin, preset, "--here", "--stage", str(STAGES.index(stage) + 1)]
            sets = [word for item in given.sets for word in ("--set", item)]
            failed |= subprocess.run([*command, *sets], check=False).returncode
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
