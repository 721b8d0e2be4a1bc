"""Speed of fields, samplers, training steps and the start of the command: `nox -s speed`.

Each benchmark takes turns with plain code that does the same work, and asserts the ratio of both: it holds on other
machines and beside other programs, which times do not. Times are those of the processor, on one thread.
"""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Callable, Mapping
from functools import cache
from statistics import median
from typing import Any

import pytest
import torch
from attrs import evolve
from torch import Tensor, nn

from ddmi_core.diffusion.latents import LatentShape
from ddmi_core.diffusion.samplers import sampler_named
from ddmi_core.draws import BatchGenerator
from ddmi_core.fields.coordinates import cell_centres, lattice_points
from ddmi_core.fields.field import Field
from ddmi_core.model.build import build_diffusion
from ddmi_core.parts.domain_parts import build_parts
from ddmi_core.registry.extensions import names
from ddmi_core.registry.registry import domain_named
from ddmi_core.runs.bench.field_speed import WIDE, default_field, plain_path
from ddmi_core.runs.bench.training_speed import STAGES, blank_shape, objectives, step_times
from ddmi_core.settings.resolve import resolve
from ddmi_core.training.objective import Objective, StepContext

ROUNDS = 5
CELLS = 160  # along each axis of the lattice
BATCHES = ("autoencoder.training.batch=4", "diffusion.training.batch=8", "diffusion.condition=none")
STEPS = 4  # of a training
SAMPLING_STEPS = 6

# Least medians of the ratios, a fifth or more below those that were measured beside ten other programs on two cores.
FIELDS = {
    ("lattice", "narrow"): 1.5,
    ("lattice", "wide"): 0.9,
    ("scattered", "narrow"): 1.4,
    ("scattered", "wide"): 0.75,
}
SAMPLER, TRAINING, START = 0.6, 0.6, 2.5


def spent() -> float:
    """Processor seconds of this process, and of others that it has started and that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


pytestmark = pytest.mark.benchmark(timer=spent)


def times_as_fast(benchmark: Any, fast: Callable[[], object], plain: Callable[[], object]) -> float:
    """How many times as fast one way is as another, which takes turns with it: the median over the rounds."""
    slow: list[float] = []

    def before() -> None:
        started = spent()
        plain()
        slow.append(spent() - started)

    fast(), plain()
    benchmark.pedantic(fast, setup=before, rounds=ROUNDS)
    ratios = [theirs / ours for theirs, ours in zip(slow, benchmark.stats.stats.data, strict=True)]
    found = median(ratios)
    benchmark.extra_info |= {"ratio": found, "lowest": min(ratios), "highest": max(ratios)}
    print(f"{benchmark.name}: {found:.2f} times as fast as plain, {min(ratios):.2f} to {max(ratios):.2f}")
    return found


@cache
def parts_and_settings() -> tuple[Any, Any, LatentShape]:
    """The domain of images with the settings `quick` and small batches, and the shape of its latents."""
    domain = domain_named("image")
    config = resolve(domain, overrides=list(BATCHES))
    parts = build_parts(domain, config.domain)
    return parts, config, blank_shape(parts, config)


def on_lattice(field: Field, axes: list[Tensor], extra: Tensor) -> Tensor:
    """Values on a lattice, `(1, N, V)`, by the fast path."""
    return torch.cat([values for _, values in field.lattice(axes, extra).slabs()]).flatten(0, 1)[None]


@pytest.mark.parametrize(("place", "readout"), FIELDS)
@torch.inference_mode()
def test_field(benchmark: Any, place: str, readout: str) -> None:
    """The fast paths, against `grid_sample` and the whole readout in the fastest chunks."""
    field, extra = default_field(WIDE if readout == "wide" else 0), torch.zeros(1)
    axes = [cell_centres(CELLS, torch.device("cpu"))] * 2
    coords = lattice_points(axes)[None]
    if place == "scattered":
        coords = torch.rand(coords.shape, generator=torch.Generator().manual_seed(0)) * 2 - 1
    plain, _ = plain_path(field, coords, extra)

    def fast() -> Tensor:
        return on_lattice(field, axes, extra) if place == "lattice" else field.points(extra).at(coords[0])[None]

    torch.testing.assert_close(fast().reshape(1, len(coords[0]), -1), plain(), atol=1e-4, rtol=1e-4)
    assert times_as_fast(benchmark, fast, plain) > FIELDS[place, readout]


@pytest.mark.parametrize("name", names("samplers"))
@torch.inference_mode()
def test_sampler(benchmark: Any, name: str) -> None:
    """A sampler, against the calls of the network that it makes."""
    parts, config, shape = parts_and_settings()
    own = evolve(config.diffusion, few_steps=0.5) if name == "mean_flow" else config.diffusion  # average velocities
    diffusion = build_diffusion(parts.domain, evolve(config, diffusion=own), shape, 0).eval()
    path, sampler, denoise = diffusion.path, sampler_named(name), diffusion.denoiser()
    generator = torch.Generator().manual_seed(0)
    noise, times = torch.randn(2, shape.length, generator=generator), path.times(SAMPLING_STEPS)
    calls: list[Tensor] = []
    sampler(lambda x, t: (calls.append(t), denoise(x, t))[1], path, noise, times, generator=generator)
    ratio = times_as_fast(
        benchmark,
        lambda: sampler(denoise, path, noise, times, generator=generator),
        lambda: [denoise(noise, t) for t in calls],
    )
    assert ratio > SAMPLER


@pytest.mark.parametrize("stage", STAGES)
def test_training(benchmark: Any, stage: str) -> None:
    """A training with everything around its steps, against bare steps of the same objectives."""
    training, players = objectives(*parts_and_settings()[:2], stage, parts_and_settings()[2])
    ratio = times_as_fast(
        benchmark,
        lambda: step_times(stage, players, training, "fp32", 0.0, STEPS - 1),
        lambda: bare_steps(players, training.batch),
    )
    assert ratio > TRAINING


def bare_steps(players: Mapping[str, Objective], batch: int) -> None:
    """Forward and backward passes, and steps of AdamW, without averages, records and checks."""
    device, indices = torch.device("cpu"), tuple(range(batch))
    for objective in players.values():
        optimiser = torch.optim.AdamW(objective.trained.parameters(), lr=0.0, fused=True)
        for step in range(STEPS):
            read = objective.read(step, indices, BatchGenerator(0, 0, "bare"))
            objective(StepContext(step, indices, BatchGenerator(0, 0, "bare"), device, read)).total.backward()
            nn.utils.clip_grad_norm_(objective.trained.parameters(), 1.0)
            optimiser.step()
            optimiser.zero_grad()


def test_start(benchmark: Any) -> None:
    """The help of the command, against a process that imports torch, which most words of help must not need."""
    ratio = times_as_fast(
        benchmark,
        lambda: subprocess.run([sys.executable, "-m", "ddmi_core", "--help"], check=True, capture_output=True),
        lambda: subprocess.run([sys.executable, "-c", "import torch"], check=True),
    )
    assert ratio > START
