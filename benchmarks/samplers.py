"""Samplers at equal numbers of calls of the denoiser, on the shipped weights of each domain.

    python benchmarks/samplers.py [--plugin NAME] [--count N]

Two figures for each sampler and number of calls, from the same initial noise:

- the error: root mean square of the difference of the latents from those of Heun's method with 200 calls, in units of
  the standard deviation of the latents;
- the distance: Fréchet distance of the samples to as many training signals, in the domain's own features. The last row
  is that of the reference itself.
"""

from __future__ import annotations

import argparse
import json

import torch
from torch import Tensor

import ddmi_core
from ddmi_core.diffusion.samplers import most_steps
from ddmi_core.evaluation.distances import frechet
from ddmi_core.evaluation.feature_sets import describe_latents, describe_signals
from ddmi_core.evaluation.networks import DomainFeatures
from ddmi_core.model.data import load_data
from ddmi_core.settings.config import Sampling

PLUGINS = ("image", "occupancy", "video", "nerf")
SAMPLERS = ("ddim", "heun", "dpmpp_2m", "unipc")  # deterministic, so that they have a common limit; euler is ddim here
CALLS = (1, 2, 4, 8, 16, 32)
REFERENCE = ("heun", 100)


def measure(plugin: str, count: int) -> dict[str, dict[int, tuple[float, float]]]:
    """Errors and distances of each sampler and number of calls; the reference has 0 calls."""
    model = ddmi_core.load(plugin=plugin, device="cpu")
    train = load_data(model.parts, model.config.data).train
    network, count = DomainFeatures(model.parts), min(count, len(train))
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(0))[:count]
    data = describe_signals(network, train, sorted(order.tolist()))

    def latents(sampler: str, steps: int) -> Tensor:
        return model.sample_latents(count, Sampling(seed=0, sampler=sampler, steps=steps))

    def distance(flat: Tensor) -> float:
        return frechet(describe_latents(network, model, flat), data)

    reference = latents(*REFERENCE)
    scale = reference.std(dim=0).square().mean().sqrt()
    found: dict[str, dict[int, tuple[float, float]]] = {"reference": {0: (0.0, distance(reference))}}
    for sampler in SAMPLERS:
        for calls in CALLS:
            if steps := most_steps(sampler, calls):
                flat = latents(sampler, steps)
                error = float((flat - reference).square().mean().sqrt() / scale)
                found.setdefault(sampler, {})[calls] = (error, distance(flat))
                print(f"{plugin:10} {sampler:10} {calls:3} {error:7.3f} {found[sampler][calls][1]:8.4f}", flush=True)
    return found


def main() -> None:
    """Print both tables of each domain, and all figures as one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plugin", choices=PLUGINS, action="append", help="a domain; all by default")
    parser.add_argument("--count", type=int, default=512, help="samples, and training signals")
    options = parser.parse_args()
    everything = {plugin: measure(plugin, options.count) for plugin in options.plugin or PLUGINS}
    for plugin, found in everything.items():
        print(f"\n{plugin}: distance of the reference {found.pop('reference')[0][1]:.4f}")
        print("error, distance".ljust(16) + "".join(f"{calls:>16}" for calls in CALLS))
        for sampler, row in found.items():
            cells = ("{:.3f} {:.4f}".format(*row[calls]) if calls in row else "" for calls in CALLS)
            print(sampler.ljust(16) + "".join(f"{cell:>16}" for cell in cells))
    print(json.dumps(everything))


if __name__ == "__main__":
    main()
