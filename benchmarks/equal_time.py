"""Compares settings of the autoencoder, each trained for the same processor time or steps.

    OMP_NUM_THREADS=1 python benchmarks/equal_time.py --plugin nerf --seconds 360 \
        --variant "" --variant "autoencoder.decoder.basis=[48,32,24]"

Each variant is a list of settings as for `--set`, separated by spaces; the empty variant is the preset itself. Variants
take turns: one seed of all, then the next. The learning rate follows a cosine schedule over the budget. The table gives
the domain's metrics on held-out signals, as means over the seeds, with the mean difference from the first variant and
its 95 % interval. Use one thread, since processor time adds up over threads.
"""

from __future__ import annotations

import argparse
import time
from math import cos, pi

import torch
from over_seeds import cell

from ddmi_core.autoencoder.d2c_vae import D2CVAE
from ddmi_core.model.build import autoencoder_objectives, build_autoencoder
from ddmi_core.model.data import load_data
from ddmi_core.parts import evenly
from ddmi_core.parts.domain_parts import AnyParts, build_parts
from ddmi_core.registry.registry import domain_named
from ddmi_core.settings.config import RunConfig
from ddmi_core.settings.resolve import resolve
from ddmi_core.training.objective import Objective, StepContext, generator_for, indices_for

AVERAGED = 0.99  # largest decay of the weights' moving average; short trainings need a small one


def trial(parts: AnyParts, config: RunConfig, seconds: float, most: int) -> tuple[int, dict[str, float]]:
    """Train one variant, and return its steps and the mean of each metric on held-out signals."""
    split, model = load_data(parts, config.data), build_autoencoder(parts, config)
    objective = autoencoder_objectives(parts, config, model, split)["autoencoder"]
    steps = fit(model, objective, config, seconds, most)
    held = split.held_out
    count = min(config.evaluation.held_out, len(held))
    chosen = evenly(len(held), count)
    metrics = parts.metrics()
    found: dict[str, list[float]] = {name: [] for name in metrics}
    with torch.no_grad():
        for start in range(0, count, config.autoencoder.training.batch):
            signal = held.batch(chosen[start : start + config.autoencoder.training.batch])
            fields = model.decode(model.encode(signal).mean)
            for name, metric in metrics.items():
                found[name] += metric(fields, signal, parts.renderer).tolist()
    return steps, {name: sum(values) / len(values) for name, values in found.items()}


def fit(model: D2CVAE, objective: Objective, config: RunConfig, seconds: float, most: int) -> int:
    """Train for `most` steps, or for a processor time if that is 0; load the averages, and return the steps."""
    training = config.autoencoder.training
    optimiser = torch.optim.AdamW(model.parameters(), lr=training.rate, betas=(0.9, 0.99))
    average = torch.optim.swa_utils.AveragedModel(
        model, avg_fn=lambda mean, new, n: torch.lerp(mean, new, 1 - min(AVERAGED, float(n) / (float(n) + 10)))
    )
    begin, step = time.process_time(), 0
    while (spent := step / most if most else (time.process_time() - begin) / seconds) < 1:
        for group in optimiser.param_groups:
            group["lr"] = training.rate * min(1, (step + 1) / training.warmup) * (1 + cos(pi * spent)) / 2
        indices = indices_for(config.seed, step, objective.size, training.batch)
        context = StepContext(step, indices, generator_for(config.seed, step), torch.device("cpu"))
        optimiser.zero_grad()
        objective(context).total.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), training.clip)
        optimiser.step()
        average.update_parameters(model)
        step += 1
    model.load_state_dict(average.module.state_dict())
    model.eval()
    return step


def main() -> None:
    """Read the command line and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plugin", default="image")
    parser.add_argument("--seconds", type=float, default=360, help="processor time of each variant")
    parser.add_argument("--steps", type=int, default=0, help="steps of each variant, instead of a time")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--variant", action="append", default=[], help="settings, separated by spaces")
    parser.add_argument("--set", action="append", default=[], dest="overrides", help="setting for all variants")
    arguments = parser.parse_args()
    domain, variants = domain_named(arguments.plugin), arguments.variant or [""]
    rows: dict[str, list[dict[str, float]]] = {variant: [] for variant in variants}
    for seed in arguments.seeds:
        for variant in variants:
            config = resolve(domain, overrides=[*arguments.overrides, *variant.split()], seed=seed)
            parts, begin = build_parts(domain, config.domain), time.process_time()
            steps, figures = trial(parts, config, arguments.seconds, arguments.steps)
            rows[variant].append({"steps": steps, "seconds": time.process_time() - begin, **figures})
            print(f"seed {seed}, {variant or 'preset'}: {rows[variant][-1]}", flush=True)
    names = list(rows[variants[0]][0])
    print(f"\n| variant | {' | '.join(names)} |\n| --- |{' --- |' * len(names)}")
    first = [[row[name] for row in rows[variants[0]]] for name in names]
    for variant in variants:
        own = first if variant == variants[0] else [[row[name] for row in rows[variant]] for name in names]
        print(f"| {variant or 'preset'} | {' | '.join(map(cell, own, first))} |")


if __name__ == "__main__":
    main()
