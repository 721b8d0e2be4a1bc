"""Speed of training steps of both stages, with the settings of a model and signals without content."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from time import perf_counter

import torch
from attrs import evolve
from torch import Tensor

from ddmi_core.api.conditions import TokenSequences
from ddmi_core.api.signals import Split
from ddmi_core.bounds import MOST_STEPS
from ddmi_core.diffusion.latent_diffusion import DenoisingObjective
from ddmi_core.model.build import autoencoder_objectives, build_autoencoder, build_diffusion
from ddmi_core.model.latent_cache import lengths_of
from ddmi_core.model.model import Model
from ddmi_core.model.needs import BlankSignals
from ddmi_core.training.config import TrainingConfig
from ddmi_core.training.log import Log
from ddmi_core.training.objective import Objective
from ddmi_core.training.trainer import Report, Stage, train

STAGES = ("autoencoder", "denoiser")
WARM, LEAST = 2, 5  # steps that are not counted, because they allocate memory; steps that are
LONGEST = 2.0  # seconds, after which one counted step is enough


class _EnoughError(Exception):
    """Ends a training whose speed is known."""


def objectives(model: Model, stage: str) -> tuple[TrainingConfig, dict[str, Objective]]:
    """Settings and objectives of a stage of new networks with the settings of a model."""
    if stage == "autoencoder":
        blank = BlankSignals(model.parts, model.config.autoencoder.training.batch)
        networks = build_autoencoder(model.parts, model.config)
        made = autoencoder_objectives(model.parts, model.config, networks, Split(blank, blank))
        return model.config.autoencoder.training, made
    training, shape, vectors = model.config.diffusion.training, model.shape, model.vectors
    lengths = lengths_of(vectors)
    diffusion = build_diffusion(model.domain, model.config, shape, len(model.classes), *lengths)
    latents = torch.randn(training.batch, shape.length, generator=torch.Generator().manual_seed(0))
    conditions: Tensor | TokenSequences
    if isinstance(vectors, TokenSequences):
        conditions = vectors
    elif any(lengths):
        conditions = vectors[:, None]
    else:
        conditions = model.labels(range(training.batch), 0, None)
    return training, {"denoiser": DenoisingObjective(diffusion, latents, conditions)}


def step_times(
    stage: str, players: Mapping[str, Objective], training: TrainingConfig, precision: str, seconds: float
) -> list[float]:
    """Seconds of each of the steps that fit into a time, after those that allocate memory; nothing is stored.

    Args:
        stage: its name.
        players: objectives by name.
        training: settings of the stage; blocks are not compiled, which would take minutes.
        precision: `fp32` or `bf16`.
        seconds: of the measurement.
    """
    ends = [perf_counter()]

    def progress(report: Report) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        ends.append(perf_counter())
        steps, passed = len(ends) - 1, ends[-1] - ends[0]
        counted = sum(after - before for before, after in pairwise(ends[WARM:])) if steps > WARM else 0.0
        if (counted >= seconds and steps >= WARM + LEAST) or (passed > LONGEST and steps > WARM):
            raise _EnoughError

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
    return [after - before for before, after in pairwise(ends[WARM:])]
