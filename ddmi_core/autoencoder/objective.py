"""Training objectives of the D2C-VAE and of its discriminator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ddmi_core.api.interfaces import CoordinateSampler, Renderer
from ddmi_core.api.signals import Queries, SignalSet
from ddmi_core.autoencoder.adversary import Discriminators, adaptive_weight, feature_matching, hinge_loss, sliced
from ddmi_core.autoencoder.config import AutoencoderConfig
from ddmi_core.autoencoder.d2c_vae import D2CVAE
from ddmi_core.autoencoder.equivariance import scale_error
from ddmi_core.autoencoder.losses import as_patch, weighted_mean
from ddmi_core.autoencoder.spectral import spectral_penalty
from ddmi_core.errors import ConfigError
from ddmi_core.fields.field import Field
from ddmi_core.nested import move
from ddmi_core.training.objective import Losses, Objective, StepContext

PointLoss = Callable[[Tensor, Tensor], Tensor]


class ReconstructionObjective(Objective):
    """Negative evidence lower bound at sampled coordinates, with the configured additional terms.

    `loss(values, targets) + kl_weight * KL / elements + spectral + equivariance + perceptual + adversarial`, where the
    loss is the weighted mean over the queries, and the KL weight increases linearly (`kl_anneal`). Queries of weight
    zero have no influence on any term.

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
        self.discriminator: list[Discriminators] = []

    def read(
        self, step: int, indices: Sequence[int], generator: torch.Generator
    ) -> tuple[Any, Queries, Queries | None]:
        """Signals, queries, and the patch beside them for terms on patches; `None` if there is no such term."""
        signal = self.signals.batch(indices, generator)
        queries = self.sampler.sample(signal, self.config.points, generator)
        term = self.perceptual is not None and self.config.perceptual.weight
        shape = self.config.patch if term or self.discriminator else ()
        return signal, queries, self.sampler.block(signal, shape, generator) if shape else None

    def name_of(self, index: int) -> str:
        """Name of a signal."""
        return self.signals.names[index]

    def draw(self, context: StepContext) -> tuple[Any, Queries, Queries]:
        """Signals, queries, and the queries of terms on patches: the same ones, or a patch beside them."""
        signal, queries, block = move(self.batch(context), context.device)
        return signal, queries, queries if block is None else block

    def forward(self, context: StepContext) -> Losses:
        """Loss of one step."""
        model: D2CVAE = self.trained  # type: ignore[assignment]
        signal, queries, block = self.draw(context)
        posterior = model.encode(signal)
        latent = posterior.sample(context.generator)
        field = model.decode(latent)
        values = self.renderer.observe(field, queries)
        reconstruction = weighted_mean(self.point_loss(values, queries.targets), queries.weights)
        elements = sum(plane[0].numel() for plane in posterior.mean)
        kl = posterior.kl().mean() / elements
        anneal = self._anneal(context.step)
        parts = [("reconstruction", reconstruction), ("kl", kl)]
        total = reconstruction + self.config.kl * anneal * kl
        if self.config.spectral:
            spectral = spectral_penalty(model.encoder, model.decoder)
            parts.append(("spectral", spectral))
            start = self.config.spectral_start or self.config.spectral
            total = total + start ** (1 - anneal) * self.config.spectral**anneal * spectral
        if self.config.equivariance:
            points = self.config.points
            equivariance = scale_error(model, latent, field, queries, context.step, points, context.generator)
            parts.append(("equivariance", equivariance))
            total = total + self.config.equivariance * equivariance
        if block.patch:
            rendered = values if block is queries else self.renderer.observe(field, block)
            patch, truth = _patch(rendered, block), _patch(block.targets, block)
            if self.perceptual is not None and self.config.perceptual.weight:
                axes = getattr(self.perceptual, "axes", len(block.patch))
                self._check_size(block.patch, axes)
                perceptual = self.perceptual(*sliced((patch, truth), axes, context.generator))
                parts.append(("perceptual", perceptual))
                total = total + self.config.perceptual.weight * perceptual
            if self.discriminator and context.step >= self.config.adversarial.start:
                options = self.config.adversarial
                adversarial, matching = self._adversarial(patch, truth, block, context.generator)
                balance = adaptive_weight(total, adversarial, model.readout.head.weight) if options.adaptive else 1.0
                parts.append(("adversarial", adversarial))
                total = total + options.weight * balance * adversarial
                if options.features:
                    parts.append(("features", matching))
                    total = total + options.features * matching
        return Losses(total, tuple(parts))

    def _check_size(self, patch: Sequence[int], axes: int) -> None:
        """Name the setting of the patch if it is smaller than the perceptual term needs."""
        smallest = getattr(self.perceptual, "smallest", 1)
        if min(patch[-axes:]) >= smallest:
            return
        if self.config.patch:
            shape = [*patch[:-axes], *(max(side, smallest) for side in patch[-axes:])]
            fix = f"set autoencoder.patch to {shape}"
        else:
            fix = f"set autoencoder.points to at least {smallest ** len(patch)}"
        raise ConfigError(
            f"autoencoder.perceptual.kind = {self.config.perceptual.kind!r} needs patches of {smallest} cells along "
            f"each axis, these have {' x '.join(map(str, patch[-axes:]))}. Fix: {fix}, with signals of at least "
            f"{smallest} cells, or choose another perceptual term"
        )

    def _anneal(self, step: int) -> float:
        """Share of the final KL weight at a step, above 0."""
        length = self.config.kl_anneal
        return min(1.0, (step + 1) / max(1, length if length >= 1 else length * self.config.training.steps))

    def judged(
        self, patch: Tensor, truth: Tensor, block: Queries, generator: torch.Generator
    ) -> tuple[list[tuple[Tensor, Tensor]], list[tuple[Tensor, Tensor]]]:
        """What each discriminator gets of true and of rendered patches: values, and extra columns."""
        (discriminators,) = self.discriminator
        real, rendered = [], []
        for axes in discriminators.axes:
            ours, theirs, extra = sliced((patch, truth, as_patch(block.extra, block.patch)), axes, generator)
            real.append((theirs, extra))
            rendered.append((ours, extra))
        return real, rendered

    def _adversarial(
        self, patch: Tensor, truth: Tensor, block: Queries, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Sums over discriminators of minus the mean logit and of feature matching, without gradients of weights."""
        (discriminators,) = self.discriminator
        weights = {name: weight.detach() for name, weight in discriminators.named_parameters()}
        real, rendered = self.judged(patch, truth, block, generator)
        ours = torch.func.functional_call(discriminators, weights, (rendered,))
        adversarial = -torch.stack([outputs[-1].mean() for outputs in ours]).sum()
        if not self.config.adversarial.features:
            return adversarial, adversarial.new_zeros(())
        with torch.no_grad():
            theirs = torch.func.functional_call(discriminators, weights, (real,))
        pairs = zip(theirs, ours, strict=True)
        return adversarial, torch.stack([feature_matching(their, our) for their, our in pairs]).sum()


class DiscriminatorObjective(Objective):
    """Hinge losses of the discriminators on patches of the autoencoder's fields.

    Args:
        autoencoder: the objective of the autoencoder, which receives the discriminator.
        axes: grid axes of the patches.
        values: value channels.
    """

    def __init__(self, autoencoder: ReconstructionObjective, axes: int, values: int) -> None:
        super().__init__()
        adversarial = autoencoder.config.adversarial
        model: D2CVAE = autoencoder.trained  # type: ignore[assignment]
        self.trained = Discriminators(adversarial, axes, values, len(model.layout.extra))
        self.size, self.start = autoencoder.size, adversarial.start
        self.rate = adversarial.rate / autoencoder.config.training.rate
        self._autoencoder = [autoencoder]  # in a list, so that it is no submodule
        autoencoder.discriminator.append(self.trained)

    def read(self, step: int, indices: Sequence[int], generator: torch.Generator) -> Any:
        """The same as the autoencoder."""
        return self._autoencoder[0].read(step, indices, generator)

    def name_of(self, index: int) -> str:
        """Name of a signal."""
        return self._autoencoder[0].name_of(index)

    def forward(self, context: StepContext) -> Losses:
        """Loss of one step."""
        (autoencoder,) = self._autoencoder
        model: D2CVAE = autoencoder.trained  # type: ignore[assignment]
        signal, _, block = autoencoder.draw(context)
        if not block.patch:
            return Losses(0.0 * sum(p.sum() for p in self.trained.parameters()))  # type: ignore[arg-type]
        with torch.no_grad():
            field: Field = model.decode(model.encode(signal).sample(context.generator))
            values = autoencoder.renderer.observe(field, block)
        patches = _patch(values, block), _patch(block.targets, block)
        real, rendered = (self.trained(given) for given in autoencoder.judged(*patches, block, context.generator))
        pairs = zip(real, rendered, strict=True)
        return Losses(torch.stack([hinge_loss(theirs[-1], ours[-1]) for theirs, ours in pairs]).sum())


def _patch(points: Tensor, queries: Queries) -> Tensor:
    """Values or targets of a patch as a grid; zero at queries of weight zero, which terms on patches then ignore."""
    return as_patch(points.where(queries.weights.unsqueeze(-1) > 0, 0), queries.patch)
