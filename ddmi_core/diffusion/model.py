"""The latent diffusion model: denoiser, condition, path and target as one module."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ddmi_core.diffusion.config import DiffusionConfig
from ddmi_core.diffusion.embeddings import TimeEmbedding
from ddmi_core.diffusion.latents import LatentShape
from ddmi_core.diffusion.paths import path_from
from ddmi_core.diffusion.targets import target, to_data
from ddmi_core.diffusion.transformer import PlaneTransformer
from ddmi_core.diffusion.unet import PlaneUNet
from ddmi_core.fields.exchange import as_maps
from ddmi_core.fields.layout import Layout
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
        classes: number of classes; 0 for an unconditional model.
        config: path, target, denoiser.
    """

    def __init__(self, layout: Layout, shape: LatentShape, classes: int, config: DiffusionConfig) -> None:
        super().__init__()
        self.shape, self.config, self.classes = shape, config, classes
        self.path = path_from(config.path)
        width = 4 * max(16, config.denoiser.width // 2)
        self.time = TimeEmbedding(width)
        # The last row stands for "no condition".
        self.condition = nn.Embedding(classes + 1, width)
        nn.init.normal_(self.condition.weight, std=0.5)
        self.activate = nn.SiLU()
        self.network = DENOISERS[config.denoiser.kind](layout, shape.channels, width, config.denoiser)

    def forward(self, noisy: Tensor, times: Tensor, labels: Tensor) -> Tensor:
        """The network's raw prediction of the configured target.

        Args:
            noisy: `(B, L)`.
            times: `(B,)`, in [0, 1].
            labels: `(B,)`, classes; the number of classes itself means no condition.
        """
        condition = self.activate(self.time(times) + self.condition(labels))
        maps = self.network(as_maps(self.shape.unpack(noisy)), condition)
        return torch.cat([m.flatten(1) for m in maps], dim=1)

    def denoiser(self, labels: Tensor | None = None) -> Denoise:
        """Estimate of clean latents, `(B, L), (B,) -> (B, L)`, for fixed labels `(B,)` or without condition."""

        def denoise(noisy: Tensor, times: Tensor) -> Tensor:
            times = times.expand(len(noisy))
            chosen = torch.full((len(noisy),), self.classes, device=noisy.device) if labels is None else labels
            return to_data(self.config.target, self.path, noisy, self(noisy, times, chosen), times)

        return denoise


class DenoisingObjective(Objective):
    """Mean squared error of the predicted target at random times.

    Args:
        model: what is trained.
        latents: `(N, L)`, normalised.
        labels: `(N,)`, classes; not looked at by an unconditional model.
    """

    def __init__(self, model: LatentDiffusion, latents: Tensor, labels: Tensor) -> None:
        super().__init__()
        self.trained, self.size = model, len(latents)
        self.latents, self.labels = latents, labels if model.classes else torch.zeros_like(labels)

    def forward(self, moment: Moment) -> Losses:
        """Loss of one step."""
        model: LatentDiffusion = self.trained  # type: ignore[assignment]
        indices = torch.tensor(moment.indices)
        clean = self.latents[indices].to(moment.device)
        labels = self.labels[indices]
        dropped = torch.rand(len(indices), generator=moment.generator) < model.config.drop_condition
        labels = torch.where(dropped, model.classes, labels).to(moment.device)
        times = model.path.draw_times(len(indices), moment.generator).to(moment.device)
        noise = torch.randn(clean.shape, generator=moment.generator).to(moment.device)
        predicted = model(model.path.interpolate(clean, noise, times), times, labels)
        wanted = target(model.config.target, model.path, clean, noise, times)
        return Losses((predicted - wanted).square().mean())
