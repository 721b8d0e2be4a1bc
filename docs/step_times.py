"""CPU time of a training step of both stages: `python docs/step_times.py PLUGIN|FILE [KEY=VALUE ...]`.

It takes the settings of `ddmi run --plugin PLUGIN --set KEY=VALUE` and prints one row of the table in "Start a plugin".
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from statistics import median

import torch
from attrs import evolve

from ddmi_core.diffusion.latent_diffusion import DenoisingObjective
from ddmi_core.diffusion.latents import LatentShape
from ddmi_core.model.build import autoencoder_objectives, build_autoencoder, build_diffusion
from ddmi_core.model.data import load_data
from ddmi_core.parts.domain_parts import build_parts
from ddmi_core.registry.registry import domain_named
from ddmi_core.settings.resolve import resolve
from ddmi_core.training.config import TrainingConfig
from ddmi_core.training.log import Log
from ddmi_core.training.objective import Objective
from ddmi_core.training.trainer import Stage, train

STEPS, FIRST = 12, 3  # the first steps are slower: they allocate memory
CONDITION = "diffusion.condition=none"  # vectors of captions take time to compute and change little


def seconds(objectives: Mapping[str, Objective], training: TrainingConfig) -> float:
    """CPU seconds of one step: the median after the first few."""
    ends: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        stage = Stage(
            name="measured",
            folder=Path(folder),
            config=evolve(training, steps=STEPS, log=1, precision="fp32", compile=False),
            seed=0,
            log=Log(Path(folder, "log.jsonl")),
            progress=lambda report: ends.append(time.process_time()),
        )
        train(stage, objectives)
    return median(after - before for before, after in pairwise(ends[FIRST:]))


def main(plugin: str, *overrides: str) -> None:
    """Print the row of one plugin with settings."""
    config = resolve(domain_named(plugin), overrides=[CONDITION, *overrides])
    parts = build_parts(domain_named(plugin), config.domain)
    split = load_data(parts, config.data)
    model = build_autoencoder(parts, config)
    native = getattr(parts, "native", None)
    with torch.no_grad():
        shape = LatentShape.of(model.encode(split.train.batch(range(2))).mean)
    stages = config.autoencoder.training, config.diffusion.training
    first = seconds(autoencoder_objectives(parts, config, model, split), stages[0])
    latents = torch.randn(stages[1].batch, shape.length, generator=torch.Generator().manual_seed(0))
    diffusion = build_diffusion(parts.domain, config, shape, 0)
    second = seconds({"denoiser": DenoisingObjective(diffusion, latents, torch.zeros(len(latents)))}, stages[1])
    whole = first * stages[0].steps + second * stages[1].steps
    cells = " x ".join(map(str, native)) if native else "none"
    print(
        f"| `{' '.join((parts.domain.name, *overrides))}` | {cells} | {shape.length} | {first:.2g} | {second:.2g} "
        f"| {stages[0].steps} and {stages[1].steps} | {whole / 60:.1f} min |",
        flush=True,
    )


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(*sys.argv[1:])
