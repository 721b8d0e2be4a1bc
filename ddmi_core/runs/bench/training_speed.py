"""Speed of training steps of both stages, with the settings of a model and signals without content."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from time import perf_counter

import torch
from attrs import evolve
from torch import Tensor

from ddmi_core.api.conditions import TokenSequences
from ddmi_core.api.signals import Split
from ddmi_core.bounds import MOST_STEPS
from ddmi_core.diffusion.latent_diffusion import DenoisingObjective
from ddmi_core.diffusion.latents import LatentShape
from ddmi_core.model.build import autoencoder_objectives, build_autoencoder, build_diffusion
from ddmi_core.model.latent_cache import Vectors, lengths_of
from ddmi_core.model.needs import BlankSignals
from ddmi_core.parts.domain_parts import AnyParts
from ddmi_core.runs.bench.bench_result import enough
from ddmi_core.settings.config import RunConfig
from ddmi_core.training.config import TrainingConfig
from ddmi_core.training.log import Log
from ddmi_core.training.objective import Objective
from ddmi_core.training.trainer import Report, Stage, train

STAGES = ("autoencoder", "denoiser")
NO_VECTORS = torch.zeros(0, 0)


class _EnoughError(Exception):
    """Ends a training whose speed is known."""


@torch.no_grad()
def blank_shape(parts: AnyParts, config: RunConfig) -> LatentShape:
    """The shape of the latents of a configuration, by a signal without content."""
    return LatentShape.of(build_autoencoder(parts, config).encode(parts.blank()).mean)


def objectives(
    parts: AnyParts,
    config: RunConfig,
    stage: str,
    shape: LatentShape,
    classes: int = 0,
    vectors: Vectors = NO_VECTORS,
) -> tuple[TrainingConfig, dict[str, Objective]]:
    """Settings and objectives of a stage: new networks, and signals or latents without content.

    Args:
        parts: the domain.
        config: of the run.
        stage: one of `STAGES`.
        shape: of the latent.
        classes: number of classes of the data.
        vectors: of the condition, at least as many as the batch of the denoiser has rows; none without a condition.
    """
    if stage == "autoencoder":
        blank = BlankSignals(parts, config.autoencoder.training.batch)
        networks = build_autoencoder(parts, config)
        return config.autoencoder.training, autoencoder_objectives(parts, config, networks, Split(blank, blank))
    training, lengths = config.diffusion.training, lengths_of(vectors)
    diffusion = build_diffusion(parts.domain, config, shape, classes, *lengths)
    latents = torch.randn(training.batch, shape.length, generator=torch.Generator().manual_seed(0))
    conditions: Tensor | TokenSequences = torch.zeros(training.batch, dtype=torch.long)
    if isinstance(vectors, TokenSequences):
        conditions = vectors
    elif any(lengths):
        conditions = vectors[:, None]
    return training, {"denoiser": DenoisingObjective(diffusion, latents, conditions)}


def step_times(
    stage: str,
    players: Mapping[str, Objective],
    training: TrainingConfig,
    precision: str,
    seconds: float,
    steps: int = 0,
    clock: Callable[[], float] = perf_counter,
) -> list[float]:
    """Seconds of each step after the first one, which allocates memory; nothing is stored.

    Args:
        stage: its name.
        players: objectives by name.
        training: settings of the stage; blocks are not compiled, which would take minutes.
        precision: `fp32` or `bf16`.
        seconds: of all steps, about; see `enough`.
        steps: how many steps count, in place of the seconds: processes of one run have to agree.
        clock: the time in seconds.
    """
    times: list[float] = []
    before = 0.0

    def progress(report: Report) -> None:
        nonlocal before
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        if report.step > 1:
            times.append(clock() - before)
        if len(times) == steps if steps else enough(times, seconds):
            raise _EnoughError
        before = clock()

    config = evolve(
        training,
        steps=MOST_STEPS,
        checkpoint=MOST_STEPS,
        log=1,
        precision=precision,
        compile=False,
        shard=False,
        workers=0,
    )
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        with suppress(_EnoughError):
            train(Stage(stage, place / stage, config, 0, Log(place / "log.jsonl"), progress=progress), players)
    return times
