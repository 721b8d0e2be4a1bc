"""Measures the seam at the date line and the error of reconstructions, for three layouts trained for the same time.

    OMP_NUM_THREADS=1 python examples/ddmi-sphere/seam.py --seconds 60 --out runs/seam

The layouts are those of both domains, and a map that is periodic nowhere. Processor time is measured, which other
programs disturb little; use one thread, since it adds up over threads. The autoencoders are trained for `--seconds`
each, the denoisers for equal numbers of steps. Finished runs in the folder are used again.

seam: mean absolute difference of neighbouring cells across longitude 180, over that of all other neighbours along
longitude. In brackets, the standard deviation of the same ratio at the other 63 longitudes.
equator: the same for neighbours along latitude, across the equator, where the maps of the hemispheres meet.
rmse: of the held-out fields' reconstructions at the native size, over all cells, and with cells weighted by area.
"""

from __future__ import annotations

import argparse
import time
from math import pi
from pathlib import Path

import torch
from attrs import evolve
from ddmi_sphere.plugin import PERIODIC, SPHERE
from torch import Tensor

import ddmi_core
from ddmi_core.api import Layout
from ddmi_core.model.build import autoencoder_objectives, build_autoencoder
from ddmi_core.model.data import load_data
from ddmi_core.parts.domain_parts import build_parts
from ddmi_core.settings.resolve import resolve
from ddmi_core.training.objective import StepContext, generator_for, indices_for

FLAT = evolve(PERIODIC, name="sphere-flat", layout=Layout(axes=("lon", "lat"), planes=(("lon", "lat"),)))
DOMAINS = {"embedded": SPHERE, "periodic": PERIODIC, "flat": FLAT}
STEPS = 12  # of one measurement of the time of a step
ROUNDS = 3  # measurements, of which the fastest counts
BATCH = 64  # samples drawn at a time


def step_seconds(domain: ddmi_core.Domain) -> float:
    """Processor time of a step of the autoencoder."""
    config = resolve(domain, "quick", overrides=["domain.count=40"])
    parts = build_parts(domain, config.domain)
    model = build_autoencoder(parts, config)
    objective = autoencoder_objectives(parts, config, model, load_data(parts, ""))["autoencoder"]
    optimiser = torch.optim.AdamW(model.parameters())
    times = []
    for _ in range(ROUNDS):
        begin = time.process_time()
        for step in range(STEPS):
            indices = indices_for(0, step, objective.size, config.autoencoder.training.batch)
            optimiser.zero_grad()
            objective(StepContext(step, indices, generator_for(0, step), torch.device("cpu"))).total.backward()
            optimiser.step()
        times.append((time.process_time() - begin) / STEPS)
    return min(times)


def seam(values: Tensor) -> tuple[float, float]:
    """The ratio at the date line, and its standard deviation at other longitudes; `(B, 1, lat, lon)`."""
    return _ratio((values - values.roll(1, dims=-1)).abs().mean(dim=(0, 1, 2)), 0)  # 0: the last cell to the first


def equator(values: Tensor) -> tuple[float, float]:
    """The ratio at the equator, and its standard deviation at other latitudes."""
    change = values.diff(dim=-2).abs().mean(dim=(0, 1, 3))
    return _ratio(change, len(change) // 2)


def _ratio(change: Tensor, place: int) -> tuple[float, float]:
    """Changes over the mean of all others: at a place, and the standard deviation elsewhere."""
    ratios = change / ((change.sum() - change) / (len(change) - 1))
    others = torch.cat([ratios[:place], ratios[place + 1 :]])
    return float(ratios[place]), float(others.std())


def rmse(signals: Tensor, found: Tensor) -> tuple[float, float]:
    """Over all cells, and weighted by their area."""
    errors = (found - signals).square().mean(dim=(0, 1, 3))
    area = torch.cos(((2 * torch.arange(len(errors)) + 1) / len(errors) - 1) * pi / 2)
    return float(errors.mean().sqrt()), float(((errors * area).sum() / area.sum()).sqrt())


def report(name: str, model: ddmi_core.Model, samples: int) -> None:
    """Print the figures of one layout."""
    split = load_data(model.parts, "")
    train, held = (part.batch(range(len(part))).values for part in (split.train, split.held_out))
    with torch.no_grad():
        again = model.renderer.native_values(model.reconstruct(split.held_out.batch(range(len(held)))))
        drawn = [model.renderer.native_values(model.sample(BATCH, seed=seed)) for seed in range(samples // BATCH)]
    for what, values in (("samples", torch.cat(drawn)), ("reconstructions", again), ("training", train)):
        figures = "seam {:.3f} ({:.3f}), equator {:.3f} ({:.3f})".format(*seam(values), *equator(values))
        print(f"{name}: {len(values)} {what}: {figures}", flush=True)
    print(f"{name}: rmse {{:.4f}}, by area {{:.4f}}".format(*rmse(held, again)), flush=True)


def main() -> None:
    """Read the command line, train, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60, help="processor time of each autoencoder")
    parser.add_argument("--samples", type=int, default=512)
    parser.add_argument("--out", type=Path, default=Path("runs/seam"))
    arguments = parser.parse_args()
    ddmi_core.register(FLAT)
    costs = {name: step_seconds(domain) for name, domain in DOMAINS.items()}
    for name, domain in DOMAINS.items():
        place, steps = arguments.out / name, round(arguments.seconds / costs[name])
        print(f"{name}: {1000 * costs[name]:.0f} ms a step", flush=True)
        if not (place / "report.html").exists():
            begin = time.process_time()
            settings = [
                f"autoencoder.training.steps={steps}",
                "diffusion.training.steps=400",
                "evaluation.samples=32",
                'evaluation.grid=["dpmpp_2m:16"]',
            ]
            ddmi_core.run(domain.name, place, overrides=settings)
            print(f"{name}: {steps} steps; the whole run took {time.process_time() - begin:.0f} s", flush=True)
        report(name, ddmi_core.load(place), arguments.samples)


if __name__ == "__main__":
    main()
