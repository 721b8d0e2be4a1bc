"""CPU time of a training step of both stages: `python benchmarks/step_times.py PLUGIN|FILE [KEY=VALUE ...]`.

It takes the settings of `ddmi run --plugin PLUGIN --set KEY=VALUE`, with new networks and signals without content, and
prints one row of the table in "Start a plugin". For a model with weights, `ddmi bench` measures more.
"""

from __future__ import annotations

import sys
import time
from statistics import median

import torch

from ddmi_core.parts.domain_parts import build_parts
from ddmi_core.registry.registry import domain_named
from ddmi_core.runs.bench.training_speed import STAGES, blank_shape, objectives, step_times
from ddmi_core.settings.resolve import resolve

STEPS = 9
CONDITION = "diffusion.condition=none"  # vectors of captions take time to compute and change little


def main(plugin: str, *overrides: str) -> None:
    """Print the row of one plugin with settings."""
    domain = domain_named(plugin)
    config = resolve(domain, overrides=[CONDITION, *overrides])
    parts = build_parts(domain, config.domain)
    shape = blank_shape(parts, config)
    steps, seconds = [], []
    for stage in STAGES:
        training, players = objectives(parts, config, stage, shape)
        steps.append(training.steps)
        seconds.append(median(step_times(stage, players, training, "fp32", 0.0, STEPS, time.process_time)))
    native = getattr(parts, "native", None)
    cells = " x ".join(map(str, native)) if native else "none"
    whole = sum(one * count for one, count in zip(seconds, steps, strict=True))
    print(
        f"| `{' '.join((domain.name, *overrides))}` | {cells} | {shape.length} | {seconds[0]:.2g} | {seconds[1]:.2g} "
        f"| {steps[0]} and {steps[1]} | {whole / 60:.1f} min |",
        flush=True,
    )


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(*sys.argv[1:])
