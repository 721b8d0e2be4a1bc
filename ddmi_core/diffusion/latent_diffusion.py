"""The latent diffusion model, and its training objective."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ddmi_core.api.conditions import TokenSequences
from ddmi_core.diffusion.average_velocity import draw_intervals, of_halves
from ddmi_core.diffusion.config import DiffusionConfig
from ddmi_core.diffusion.denoisers.cross_attention import TokenCondition, pack
from ddmi_core.diffusion.denoisers.embeddings import ClassCondition, TimeEmbedding, VectorCondition, marked
from ddmi_core.diffusion.guidance import ALWAYS, guided
from ddmi_core.diffusion.latents import LatentShape
from ddmi_core.diffusion.parameterization import Target, target_from
from ddmi_core.diffusion.paths import path_from
from ddmi_core.diffusion.samplers import Denoise
from ddmi_core.draws import normal_like, per_row
from ddmi_core.errors import RequestError
from ddmi_core.fields.layout import Layout
from ddmi_core.networks import as_maps, start_at_zero
from ddmi_core.registry.extensions import part
from ddmi_core.training.objective import Losses, Objective, StepContext

TOGETHER = 8  # latents of which one call makes both estimates; for more, it is hardly faster and needs more memory
MIXING_LOGIT = -6.0  # at the start, as in the authors' code: the network's share is 0.0025


class MixedPrediction(nn.Module):
    """Mixes a prediction with the optimal one for standard normal latents (LSGM, arXiv 2106.05931, section 3.2).

    The share of the network, `sigmoid(logit)`, is learned for each plane and channel.

    Args:
        shape: of the latent.
        target: what is predicted.
    """

    def __init__(self, shape: LatentShape, target: Target) -> None:
        super().__init__()
        self.target, self.cells = target, [prod(grid) for grid in shape.grids]
        self.logit = nn.Parameter(torch.full((len(shape.grids), shape.channels), MIXING_LOGIT))

    def forward(self, noisy: Tensor, predicted: Tensor, times: Tensor) -> Tensor:
        """Mix a prediction `(B, L)` for states `(B, L)` at times `(B,)`."""
        share = torch.cat([row.repeat_interleave(n) for row, n in zip(self.logit.sigmoid(), self.cells, strict=True)])
        return torch.lerp(self.target.of_normal_data(noisy, times), predicted.to(noisy.dtype), share.to(noisy.dtype))


class LatentDiffusion(nn.Module):
    """Denoiser of flat latents for a path, a prediction target, and classes, vectors or tokens as conditions.

    Args:
        layout: planes and axes.
        shape: channels and grids of the latent.
        classes: number of classes; 0 for a model without classes.
        config: path, target, denoiser.
        vectors: length F of the condition vectors, which replace classes; 0 for a model without them.
        tokens: length of the tokens of conditions, to which the network attends; 0 for a model without them.

    Raises:
        ConfigError: if there are tokens, and the network cannot attend to them.
    """

    def __init__(
        self,
        layout: Layout,
        shape: LatentShape,
        classes: int,
        config: DiffusionConfig,
        vectors: int = 0,
        tokens: int = 0,
    ) -> None:
        super().__init__()
        self.shape, self.config, self.classes = shape, config, classes
        self.path = path_from(config.path)
        self.target = target_from(config.target, self.path)
        width = 4 * max(16, config.denoiser.width // 2)
        self.time = TimeEmbedding(width)
        self.duration = TimeEmbedding(width) if config.few_steps else None
        if self.duration is not None:  # before training, the average velocity is that at the start
            start_at_zero(self.duration.network[-1])
        self.condition: ClassCondition | VectorCondition | TokenCondition
        if tokens:
            self.condition = TokenCondition(vectors, tokens, width)
        else:
            self.condition = VectorCondition(vectors, width) if vectors else ClassCondition(classes, width)
        self.activate = nn.SiLU()
        self.network = part("denoisers", config.denoiser.kind)(layout, shape.channels, width, config.denoiser)
        if tokens:
            self.network.attend(width)
        self.mixed = MixedPrediction(shape, self.target) if config.mixed else None

    @property
    def conditioned(self) -> bool:
        """Whether the model takes classes, vectors or tokens as conditions."""
        return bool(self.classes) or not isinstance(self.condition, ClassCondition)

    def forward(self, noisy: Tensor, times: Tensor, conditions: Tensor) -> Tensor:
        """The network's prediction of the configured target.

        Args:
            noisy: `(B, L)`.
            times: `(B,)`, in [0, 1]; or `(B, 2)`, the start and the end of intervals, for the average velocity over
                each: the difference of the states divided by that of the path's phases.
            conditions: `(B,)`, `(B, F + 1)` or `(B, R, W + 1)`; see `ClassCondition`, `VectorCondition` and
                `TokenCondition`.

        Raises:
            RequestError: for intervals, if the model was trained without `few_steps`.
        """
        intervals, times = times, starts(times)
        embedded = self.time(times) + self.condition(conditions)
        if self.duration is not None:
            lengths = times - intervals[:, 1] if intervals.ndim == 2 else torch.zeros_like(times)
            embedded = embedded + self.duration(lengths)
        elif intervals.ndim == 2:
            raise RequestError(
                "the sampler mean_flow requires average velocities, and this model learned none: diffusion.few_steps "
                "was 0. Fix: choose another sampler, or train a new run with --set diffusion.few_steps=0.5"
            )
        condition = self.activate(embedded)
        context = (self.condition.context(conditions),) if isinstance(self.condition, TokenCondition) else ()
        maps = self.network(as_maps(self.shape.unpack(noisy)), condition, *context)
        predicted = torch.cat([m.flatten(1) for m in maps], dim=1)
        return predicted if self.mixed is None else self.mixed(noisy, predicted, times)

    def denoiser(self, conditions: Tensor | None = None) -> Denoise:
        """A function `(B, L), (B,) -> (B, L)` that estimates clean latents under fixed conditions, or under none.

        With `few_steps`, it also takes intervals `(B, 2)`; see `mean_flow`.
        """

        def denoise(noisy: Tensor, times: Tensor) -> Tensor:
            times = times.expand(len(noisy), *times.shape[1:])
            chosen = self.condition.none(len(noisy)).to(noisy.device) if conditions is None else conditions
            return self.target.to_data(noisy, self(noisy, times, chosen), starts(times))

        return denoise

    def guided(self, conditions: Tensor, scale: float, interval: tuple[float, float] = ALWAYS) -> Denoise:
        """The denoiser under fixed conditions with classifier-free guidance; see `classifier_free`.

        For few latents, one call of the network makes both estimates: for a single one, this takes two thirds of the
        time of two calls on a CPU.

        Raises:
            RequestError: unless `0 <= low <= high <= 1`.
        """
        conditional, unconditional = self.denoiser(conditions), self.denoiser()

        def both(noisy: Tensor, times: Tensor) -> tuple[Tensor, Tensor]:
            count = len(noisy)
            if count > TOGETHER:
                return conditional(noisy, times), unconditional(noisy, times)
            given = conditions.expand(count, *conditions.shape[1:])  # one condition may be that of all
            none = self.condition.none(count).to(given)
            if none.ndim == 3:  # sequences without tokens are padded to the length of the others
                none = F.pad(none, (0, 0, 0, given.shape[1] - none.shape[1]))
            pair = self.denoiser(torch.cat([given, none]))
            twice = torch.cat([times.expand(count, *times.shape[1:])] * 2)
            estimate, free = pair(noisy.repeat(2, 1), twice).chunk(2)
            return estimate, free

        return guided(conditional, both, scale, interval)


def starts(times: Tensor) -> Tensor:
    """Times `(B,)`, or the starts of intervals `(B, 2)`."""
    return times[:, 0] if times.ndim == 2 else times


class LatentSource(ABC):
    """Latents of the training signals, read or drawn by batches."""

    @abstractmethod
    def __len__(self) -> int:
        """Number of latents, a multiple of the number of signals."""

    @abstractmethod
    def read(self, indices: Sequence[int], generator: torch.Generator) -> Any:
        """What latents at the indices are computed from, on the CPU: tensors, also in tuples and attrs instances.

        Args:
            indices: of the latents.
            generator: source of the augmentation, on the CPU.
        """

    def name_of(self, index: int) -> str:
        """Name of a latent, for errors."""
        return f"latent {index}"

    @abstractmethod
    def latents(self, batch: Any, generator: torch.Generator, device: torch.device) -> Tensor:
        """Normalised latents `(B, L)` of what was read.

        Args:
            batch: from `read`.
            generator: source of draws from posteriors.
            device: of the result.
        """


class DenoisingObjective(Objective):
    """Mean squared error of the predicted target at random times.

    A share `few_steps` of the signals trains the average velocity over random intervals instead, on a target that the
    network itself gives for the halves, without a gradient.

    Args:
        model: the model to train.
        latents: normalised: `(M, L)`, or a source of them.
        conditions: of each signal: classes `(N,)`; or vectors `(N, K, F)` or sequences, one of K drawn at each step.
            Latent i is of signal i modulo N. An unconditional model ignores them.
    """

    def __init__(
        self, model: LatentDiffusion, latents: Tensor | LatentSource, conditions: Tensor | TokenSequences
    ) -> None:
        super().__init__()
        self.trained, self.size = model, len(latents)
        self.latents = latents
        self.conditions = conditions if model.conditioned else model.condition.none(len(conditions))

    def read(self, step: int, indices: Sequence[int], generator: torch.Generator) -> tuple[Any, Tensor, Tensor, Tensor]:
        """Latents, or the signals that are encoded in the step, their conditions, times, and rows with intervals.

        With `few_steps`, times are intervals `(B, 2)`, which end where they start for the other rows.
        """
        model: LatentDiffusion = self.trained  # type: ignore[assignment]
        rows, count = torch.tensor(indices), len(indices)
        given = self.latents[rows] if isinstance(self.latents, Tensor) else self.latents.read(indices, generator)
        conditions = self._draw_conditions(rows, generator)
        dropped = per_row(generator, count, lambda n, g: torch.rand(n, generator=g)) < model.config.drop_condition
        dropped = dropped.view(-1, *[1] * (conditions.ndim - 1))
        conditions = torch.where(dropped, model.condition.none(count), conditions)
        times, chosen = per_row(generator, count, model.path.draw_times), torch.zeros(count, dtype=torch.bool)
        if share := model.config.few_steps:
            chosen = per_row(generator, count, lambda n, g: torch.rand(n, generator=g)) < share
            intervals = per_row(generator, count, draw_intervals)
            times = torch.where(chosen[:, None], intervals, times[:, None])
        return given, conditions, times, chosen.nonzero()[:, 0]

    def name_of(self, index: int) -> str:
        """Name of a latent."""
        return f"latent {index}" if isinstance(self.latents, Tensor) else self.latents.name_of(index)

    def forward(self, context: StepContext) -> Losses:
        """Loss of one step."""
        model: LatentDiffusion = self.trained  # type: ignore[assignment]
        given, *tensors = self.batch(context)
        conditions, times, rows = (tensor.to(context.device) for tensor in tensors)
        if isinstance(self.latents, Tensor):
            clean = given.to(context.device)
        else:
            clean = self.latents.latents(given, context.generator, context.device)
        noise = normal_like(clean, context.generator)
        noisy = model.path.interpolate(clean, noise, starts(times))
        target = model.target.training_target(clean, noise, starts(times))
        if model.config.few_steps:
            target = target.index_copy(0, rows, self._averages(noisy, times, conditions, rows).to(target))
        return Losses((model(noisy, times, conditions) - target).square().mean())

    @torch.no_grad()
    def _averages(self, noisy: Tensor, times: Tensor, conditions: Tensor, rows: Tensor) -> Tensor:
        """Average velocities of rows."""
        model: LatentDiffusion = self.trained  # type: ignore[assignment]
        # Processes that divide the weights call the network equally often: for the first row, if there is none.
        own = rows if len(rows) else rows.new_zeros(1)
        given = conditions[own]
        averages = of_halves(lambda x, spans: model(x, spans, given), model.path, noisy[own], times[own])
        return averages[: len(rows)]

    def _draw_conditions(self, indices: Tensor, generator: torch.Generator) -> Tensor:
        """Conditions of a batch: classes, or one of the K vectors or sequences of each latent."""
        given, indices = self.conditions, indices % len(self.conditions)
        conditions = given.rows[indices] if isinstance(given, TokenSequences) else given[indices]
        if isinstance(given, Tensor) and conditions.ndim < 3:
            return conditions
        count = conditions.shape[1]
        chosen = per_row(generator, len(indices), lambda n, g: torch.randint(count, (n,), generator=g))
        conditions = conditions[torch.arange(len(indices)), chosen]
        return pack(given, conditions) if isinstance(given, TokenSequences) else marked(conditions)
