"""The latent diffusion model: denoiser, condition, path and target as one module."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ddmi_core.diffusion.config import DiffusionConfig
from ddmi_core.diffusion.denoisers.embeddings import ClassCondition, TimeEmbedding, VectorCondition, marked
from ddmi_core.diffusion.denoisers.transformer import PlaneTransformer
from ddmi_core.diffusion.denoisers.unet import PlaneUNet
from ddmi_core.diffusion.latents import LatentShape
from ddmi_core.diffusion.parameterization import target, to_data
from ddmi_core.diffusion.paths import path_from
from ddmi_core.fields.layout import Layout
from ddmi_core.networks.exchange import as_maps
from ddmi_core.training.objective import Losses, Moment, Objective

Denoise = Callable[[Tensor, Tensor], Tensor]
DENOISERS: dict[str, type[PlaneUNet] | type[PlaneTransformer]] = {
    "unet": PlaneUNet,
    "transformer": PlaneTransformer,
}


class LatentDiffusion(nn.Module):
    """Predicts clean latents from noisy ones, whatever its path and target.

    Args:
        layout: planes and axes.
        shape: channels and grids of the latent.
        classes: number of classes; 0 for a model without them.
        config: path, target, denoiser.
        vectors: length of the vectors that are conditions in place of classes; 0 for a model without them.
    """

    def __init__(
        self, layout: Layout, shape: LatentShape, classes: int, config: DiffusionConfig, vectors: int = 0
    ) -> None:
        super().__init__()
        self.shape, self.config, self.classes = shape, config, classes
        self.path = path_from(config.path)
        width = 4 * max(16, config.denoiser.width // 2)
        self.time = TimeEmbedding(width)
        self.condition: ClassCondition | VectorCondition = (
            VectorCondition(vectors, width) if vectors else ClassCondition(classes, width)
        )
        self.activate = nn.SiLU()
        self.network = DENOISERS[config.denoiser.kind](layout, shape.channels, width, config.denoiser)

    @property
    def conditioned(self) -> bool:
        """Whether there is anything but "no condition"."""
        return bool(self.classes) or isinstance(self.condition, VectorCondition)

    def forward(self, noisy: Tensor, times: Tensor, given: Tensor) -> Tensor:
        """The network's raw prediction of the configured target.

        Args:
            noisy: `(B, L)`.
            times: `(B,)`, in [0, 1].
            given: conditions, `(B,)` or `(B, F + 1)`; see `ClassCondition` and `VectorCondition`.
        """
        condition = self.activate(self.time(times) + self.condition(given))
        maps = self.network(as_maps(self.shape.unpack(noisy)), condition)
        return torch.cat([m.flatten(1) for m in maps], dim=1)

    def denoiser(self, given: Tensor | None = None) -> Denoise:
        """Estimate of clean latents, `(B, L), (B,) -> (B, L)`, for fixed conditions as in `forward`, or without."""

        def denoise(noisy: Tensor, times: Tensor) -> Tensor:
            times = times.expand(len(noisy))
            chosen = self.condition.none(len(noisy)).to(noisy.device) if given is None else given
            return to_data(self.config.target, self.path, noisy, self(noisy, times, chosen), times)

        return denoise


class DenoisingObjective(Objective):
    """Mean squared error of the predicted target at random times.

    Args:
        model: what is trained.
        latents: `(N, L)`, normalised.
        given: the condition of each: classes `(N,)`, or vectors `(N, K, F)`, of whose K one is drawn at each step.
            Not looked at by an unconditional model.
    """

    def __init__(self, model: LatentDiffusion, latents: Tensor, given: Tensor) -> None:
        super().__init__()
        self.trained, self.size = model, len(latents)
        self.latents, self.given = latents, given if model.conditioned else model.condition.none(len(latents))

    def forward(self, moment: Moment) -> Losses:
        """Loss of one step."""
        model: LatentDiffusion = self.trained  # type: ignore[assignment]
        indices = torch.tensor(moment.indices)
        clean = self.latents[indices].to(moment.device)
        given = self._conditions(indices, moment.generator)
        dropped = torch.rand(len(indices), generator=moment.generator) < model.config.drop_condition
        absent = dropped.view(-1, *[1] * (given.ndim - 1))
        given = torch.where(absent, model.condition.none(len(indices)), given).to(moment.device)
        times = model.path.draw_times(len(indices), moment.generator).to(moment.device)
        noise = torch.randn(clean.shape, generator=moment.generator).to(moment.device)
        predicted = model(model.path.interpolate(clean, noise, times), times, given)
        wanted = target(model.config.target, model.path, clean, noise, times)
        return Losses((predicted - wanted).square().mean())

    def _conditions(self, indices: Tensor, generator: torch.Generator) -> Tensor:
        given = self.given[indices]
        if given.ndim < 3:
            return given
        chosen = torch.randint(given.shape[1], (len(indices),), generator=generator)
        return marked(given[torch.arange(len(indices)), chosen])
