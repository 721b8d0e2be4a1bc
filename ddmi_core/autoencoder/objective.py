"""Training objectives of the D2C-VAE and of its discriminator."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from ddmi_core.api.interfaces import CoordinateSampler, Renderer
from ddmi_core.api.signals import Queries, SignalSet, move
from ddmi_core.autoencoder.adversary import PatchDiscriminator, adaptive_weight, hinge_loss
from ddmi_core.autoencoder.config import AutoencoderConfig
from ddmi_core.autoencoder.d2c_vae import D2CVAE
from ddmi_core.autoencoder.losses import as_patch, pool, weighted_mean
from ddmi_core.fields.field import Field
from ddmi_core.training.objective import Losses, Objective, StepContext

PointLoss = Callable[[Tensor, Tensor], Tensor]


class ReconstructionObjective(Objective):
    """Negative evidence lower bound at sampled coordinates, with the configured additional terms.

    `loss(values, targets) + kl_weight * KL / elements + perceptual + equivariance + adversarial`, where the loss is the
    weighted mean over the queries, and the KL weight increases linearly over `kl_anneal` steps. Queries of weight zero
    have no influence on any term.

    Args:
        model: the D2C-VAE.
        signals: training signals; drawn with augmentation.
        sampler: draws coordinates.
        renderer: its `observe` is the forward model.
        point_loss: `(values, targets) -> (B, N)`.
        perceptual: term on patches, or None.
        config: weights.
    """

    def __init__(
        self,
        model: D2CVAE,
        signals: SignalSet,
        sampler: CoordinateSampler[Any],
        renderer: Renderer[Any, Any],
        point_loss: PointLoss,
        perceptual: nn.Module | None,
        config: AutoencoderConfig,
    ) -> None:
        super().__init__()
        self.trained, self.size = model, len(signals)
        self.signals, self.sampler, self.renderer = signals, sampler, renderer
        self.point_loss, self.config = point_loss, config
        self.perceptual = perceptual.requires_grad_(False) if perceptual is not None else None
        # In a list, so that it is no submodule: the discriminator is trained by its own objective.
        self.discriminator: list[PatchDiscriminator] = []

    def compiled_parts(self) -> Iterable[nn.Module]:
        """Encoder, decoder and readout, which are called separately."""
        return self.trained.encoder, self.trained.decoder, self.trained.readout  # type: ignore[return-value]

    def draw(self, context: StepContext) -> tuple[Any, Queries]:
        """Signals and queries of one step."""
        signal = self.signals.batch(context.indices, context.generator)
        queries = self.sampler.sample(signal, self.config.points, context.generator)
        return move(signal, context.device), move(queries, context.device)

    def forward(self, context: StepContext) -> Losses:
        """Loss of one step."""
        model: D2CVAE = self.trained  # type: ignore[assignment]
        signal, queries = self.draw(context)
        posterior = model.encode(signal)
        latent = posterior.sample(context.generator)
        field = model.decode(latent)
        values = self.renderer.observe(field, queries)
        reconstruction = weighted_mean(self.point_loss(values, queries.targets), queries.weights)
        elements = sum(plane[0].numel() for plane in posterior.mean)
        kl = posterior.kl().mean() / elements
        anneal = min(1.0, (context.step + 1) / max(1, self.config.kl_anneal))
        parts = [("reconstruction", reconstruction), ("kl", kl)]
        total = reconstruction + self.config.kl * anneal * kl
        if queries.patch:
            patch, truth = _patch(values, queries), _patch(queries.targets, queries)
            if self.perceptual is not None and self.config.perceptual.weight:
                perceptual = self.perceptual(patch, truth)
                parts.append(("perceptual", perceptual))
                total = total + self.config.perceptual.weight * perceptual
            if self.config.equivariance:
                equivariance = self._equivariance(latent, queries, truth)
                parts.append(("equivariance", equivariance))
                total = total + self.config.equivariance * equivariance
            if self.discriminator and context.step >= self.config.adversarial.start:
                adversarial = -self._logits(patch).mean()
                balance = adaptive_weight(total, adversarial, model.readout.head.weight)
                parts.append(("adversarial", adversarial))
                total = total + self.config.adversarial.weight * balance * adversarial
        return Losses(total, tuple(parts))

    def _logits(self, patch: Tensor) -> Tensor:
        """Logits of the discriminator, without gradients of its weights."""
        (discriminator,) = self.discriminator
        weights = {name: weight.detach() for name, weight in discriminator.named_parameters()}
        logits: Tensor = torch.func.functional_call(discriminator, weights, (patch,))
        return logits

    def _equivariance(self, latent: Any, queries: Queries, truth: Tensor) -> Tensor:
        """A latent downsampled by two must decode to the signal downsampled by two (arXiv 2502.14831, equation 3)."""
        field = self.trained.decode(latent.map(pool))  # type: ignore[operator]
        values = _patch(self.renderer.observe(field, queries), queries)
        return (pool(values) - pool(truth)).abs().mean()


class DiscriminatorObjective(Objective):
    """Hinge loss of the discriminator on patches of the autoencoder's fields.

    Args:
        autoencoder: the objective of the autoencoder, which receives the discriminator.
        axes: grid axes of the patches.
        values: value channels.
    """

    def __init__(self, autoencoder: ReconstructionObjective, axes: int, values: int) -> None:
        super().__init__()
        adversarial = autoencoder.config.adversarial
        self.trained = PatchDiscriminator(axes, values, adversarial.width)
        self.size, self.start = autoencoder.size, adversarial.start
        self.rate = adversarial.rate / autoencoder.config.training.rate
        self._autoencoder = [autoencoder]  # in a list, so that it is no submodule
        autoencoder.discriminator.append(self.trained)

    def forward(self, context: StepContext) -> Losses:
        """Loss of one step."""
        (autoencoder,) = self._autoencoder
        model: D2CVAE = autoencoder.trained  # type: ignore[assignment]
        signal, queries = autoencoder.draw(context)
        if not queries.patch:
            return Losses(0.0 * sum(p.sum() for p in self.trained.parameters()))  # type: ignore[arg-type]
        with torch.no_grad():
            field: Field = model.decode(model.encode(signal).sample(context.generator))
            values = autoencoder.renderer.observe(field, queries)
        real = self.trained(_patch(queries.targets, queries))
        rendered = self.trained(_patch(values, queries))
        return Losses(hinge_loss(real, rendered))


def _patch(points: Tensor, queries: Queries) -> Tensor:
    """Values or targets of a patch as a grid; zero at queries of weight zero, which terms on patches then ignore."""
    return as_patch(points.where(queries.weights.unsqueeze(-1) > 0, 0), queries.patch)
