"""Compares settings of the autoencoder, each trained for the same processor time.

    OMP_NUM_THREADS=1 python benchmarks/equal_time.py --plugin nerf --seconds 360 \
        --variant "" --variant "autoencoder.decoder.basis=[48,32,24]"

Each variant is a list of settings as for `--set`, separated by spaces; the empty variant is the preset itself. The
learning rate follows a cosine schedule over the processor time. The table gives the domain's metrics on held-out
signals. Use one thread, since processor time adds up over threads.
"""

from __future__ import annotations

import argparse
import time
from math import cos, pi

import torch

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


def trial(parts: AnyParts, config: RunConfig, seconds: float) -> tuple[int, dict[str, float]]:
    """Train one variant, and return its steps and the mean of each metric on held-out signals."""
    split, model = load_data(parts, config.data), build_autoencoder(parts, config)
    objective = autoencoder_objectives(parts, config, model, split)["autoencoder"]
    steps = fit(model, objective, config, seconds)
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


def fit(model: D2CVAE, objective: Objective, config: RunConfig, seconds: float) -> int:
    """Train for some processor time, load the averaged weights, and return the number of steps."""
    training = config.autoencoder.training
    optimiser = torch.optim.AdamW(model.parameters(), lr=training.rate, betas=(0.9, 0.99))
    average = torch.optim.swa_utils.AveragedModel(
        model, avg_fn=lambda mean, new, n: torch.lerp(mean, new, 1 - min(AVERAGED, float(n) / (float(n) + 10)))
    )
    begin, step = time.process_time(), 0
    while (spent := (time.process_time() - begin) / seconds) < 1:
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
    parser.add_argument("--variant", action="append", default=[], help="settings, separated by spaces")
    parser.add_argument("--set", action="append", default=[], dest="overrides", help="setting for all variants")
    arguments = parser.parse_args()
    domain = domain_named(arguments.plugin)
    for number, variant in enumerate(arguments.variant or [""]):
        config = resolve(domain, overrides=[*arguments.overrides, *variant.split()])
        parts = build_parts(domain, config.domain)
        if not number:
            names = parts.metrics()
            print(f"| variant | steps | {' | '.join(names)} |\n| --- | --- |{' --- |' * len(names)}")
        steps, figures = trial(parts, config, arguments.seconds)
        print(f"| {variant or 'preset'} | {steps} | {' | '.join(f'{v:.3f}' for v in figures.values())} |", flush=True)


if __name__ == "__main__":
    main()
