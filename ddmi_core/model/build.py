"""Construction of a domain's parts and models from a configuration."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from attrs import frozen
from torch import nn

from ddmi_core.api.conditions import Condition
from ddmi_core.api.domain import Domain
from ddmi_core.api.interfaces import CoordinateSampler, Renderer
from ddmi_core.api.signals import Split
from ddmi_core.autoencoder.config import AutoencoderConfig
from ddmi_core.autoencoder.d2c_vae import D2CVAE
from ddmi_core.autoencoder.objective import DiscriminatorObjective, ReconstructionObjective
from ddmi_core.diffusion.latent_diffusion import LatentDiffusion
from ddmi_core.diffusion.latents import LatentShape
from ddmi_core.errors import ConfigError, unknown_name
from ddmi_core.settings.config import RunConfig
from ddmi_core.training.objective import Objective, generator_for


@frozen(eq=False)
class Parts:
    """Parts of a domain without weights."""

    sampler: CoordinateSampler
    renderer: Renderer


@contextmanager
def initial_weights(seed: int, purpose: str) -> Iterator[None]:
    """Make module construction depend on the seed alone, and restore the global random state."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(generator_for(seed, "initial", purpose).initial_seed())
        yield


def build_parts(domain: Domain, config: RunConfig) -> Parts:
    """The domain's coordinate sampler and renderer."""
    return Parts(
        sampler=domain.build("sampler", config.domain),
        renderer=domain.build("renderer", config.domain),
    )


def build_autoencoder(domain: Domain, config: RunConfig) -> D2CVAE:
    """The D2C-VAE with the initial weights of the run's seed."""
    sizes: AutoencoderConfig = config.autoencoder
    with initial_weights(config.seed, "autoencoder"):
        return D2CVAE(
            domain.build("encoder", sizes, config.domain),
            domain.build("decoder", sizes, config.domain),
            domain.layout,
            len(domain.channels_of(config.domain)),
            sizes.readout,
        )


def build_condition(domain: Domain, config: RunConfig) -> Condition | None:
    """The domain's condition that the configuration names; `None` for no condition and for classes."""
    name = config.diffusion.condition
    if name in ("none", "class"):
        return None
    condition: Condition = domain.resolve(domain.conditions[name])(domain, config.domain)
    return condition


def build_diffusion(
    domain: Domain, config: RunConfig, shape: LatentShape, classes: int, vectors: int = 0
) -> LatentDiffusion:
    """The diffusion model with the initial weights of the run's seed.

    Args:
        domain: the domain.
        config: of the run.
        shape: of the latent.
        classes: number of classes of the data.
        vectors: length of the condition's vectors, 0 without a condition.
    """
    conditioned = classes if config.diffusion.condition == "class" else 0
    with initial_weights(config.seed, "diffusion"):
        return LatentDiffusion(domain.layout, shape, conditioned, config.diffusion, vectors)


def autoencoder_objectives(
    domain: Domain, config: RunConfig, model: D2CVAE, split: Split, parts: Parts
) -> dict[str, Objective]:
    """The objectives of stage 1: reconstruction, and the discriminator if it is configured.

    Raises:
        ConfigError: if the domain has no such perceptual term.
    """
    options = config.autoencoder.perceptual
    perceptual: nn.Module | None = None
    if options.kind != "none":
        if options.kind not in domain.perceptual:
            known = (*domain.perceptual, "none")
            raise ConfigError(f"autoencoder.perceptual.kind: {unknown_name('term', options.kind, known)}")
        term = domain.resolve(domain.perceptual[options.kind])
        with initial_weights(config.seed, "perceptual"):
            perceptual = term(options)
    main = ReconstructionObjective(
        model,
        split.train,
        parts.sampler,
        parts.renderer,
        domain.resolve(domain.loss),
        perceptual,
        config.autoencoder,
    )
    objectives: dict[str, Objective] = {"autoencoder": main}
    if config.autoencoder.adversarial.start:
        with initial_weights(config.seed, "discriminator"):
            objectives["discriminator"] = DiscriminatorObjective(main, len(domain.layout.axes), len(domain.columns))
    return objectives


def check_needs(domain: Domain, config: RunConfig) -> None:
    """Run the domain's preflight, which checks requirements of the last steps before training."""
    if domain.preflight:
        domain.resolve(domain.preflight)(config.domain)
