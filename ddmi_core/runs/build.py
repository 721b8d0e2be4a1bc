"""Construction of a domain's parts and models from a configuration."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from attrs import frozen
from torch import nn

from ddmi_core.api.conditions import Condition
from ddmi_core.api.domain import Domain
from ddmi_core.api.earlier import built
from ddmi_core.api.interfaces import CoordinateSampler, Renderer
from ddmi_core.api.signals import Split
from ddmi_core.autoencoder.config import AutoencoderConfig
from ddmi_core.autoencoder.d2c_vae import D2CVAE
from ddmi_core.autoencoder.objective import DiscriminatorObjective, ReconstructionObjective
from ddmi_core.diffusion.latents import LatentShape
from ddmi_core.diffusion.model import LatentDiffusion
from ddmi_core.errors import ConfigError, DataError, nearest, unknown_name
from ddmi_core.runs.config import RunConfig
from ddmi_core.training.objective import Objective, generator_for

FOLDER = "folder"


@frozen(eq=False)
class Parts:
    """What a domain brings to a run beside its models."""

    sampler: CoordinateSampler
    renderer: Renderer


@contextmanager
def initial_weights(seed: int, purpose: str) -> Iterator[None]:
    """Make module construction depend on the seed alone; the global random state is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(generator_for(seed, "initial", purpose).initial_seed())
        yield


def build_parts(domain: Domain, config: RunConfig) -> Parts:
    """The domain's coordinate sampler and renderer."""
    return Parts(
        sampler=built(domain, "sampler", config.domain),
        renderer=built(domain, "renderer", config.domain),
    )


def build_autoencoder(domain: Domain, config: RunConfig) -> D2CVAE:
    """The D2C-VAE with the initial weights of the run's seed."""
    sizes: AutoencoderConfig = config.autoencoder
    with initial_weights(config.seed, "autoencoder"):
        return D2CVAE(
            built(domain, "encoder", sizes, config.domain),
            built(domain, "decoder", sizes, config.domain),
            domain.layout,
            len(domain.channels_of(config.domain)),
            sizes.readout,
        )


def build_condition(domain: Domain, config: RunConfig) -> Condition | None:
    """The domain's condition that the configuration names; `None` where it names none, or classes."""
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
        domain: what it is about.
        config: of the run.
        shape: of the latent.
        classes: number of classes of the data.
        vectors: length of the condition's vectors, 0 without.
    """
    conditioned = classes if config.diffusion.condition == "class" else 0
    with initial_weights(config.seed, "diffusion"):
        return LatentDiffusion(domain.layout, shape, conditioned, config.diffusion, vectors)


def autoencoder_objectives(
    domain: Domain, config: RunConfig, model: D2CVAE, split: Split, parts: Parts
) -> dict[str, Objective]:
    """The objectives of stage 1: reconstruction, and the discriminator where the configuration asks for it.

    Raises:
        ConfigError: if the domain offers no such perceptual term.
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
    """See that what only the end of a run needs is there, as far as the domain can tell."""
    if domain.check:
        domain.resolve(domain.check)(config.domain)


def load_data(domain: Domain, data: str, settings: Any) -> Split:
    """Signals of a source.

    Args:
        domain: offers the sources.
        data: `NAME`, `NAME:PATH`, `PATH`, or empty for the domain's default.
        settings: the domain's own settings.

    Raises:
        DataError: if there is no such source, or the data cannot be used.
    """
    name, location = _located(domain, data)
    split: Split = domain.resolve(domain.sources[name])(location, settings)
    return split


def absolute(domain: Domain, data: str) -> str:
    """The same data, named so that any working directory finds them.

    Raises:
        DataError: if there is no such source.
    """
    name, location = _located(domain, data)
    if location is None:
        return data
    return f"{name}:{location.absolute()}" if data.startswith(f"{name}:") else str(location.absolute())


def _located(domain: Domain, data: str) -> tuple[str, Path | None]:
    """Name of the source, and the path that it reads."""
    name, _, place = (data or domain.default_source).partition(":")
    location = Path(place) if place else None
    if name not in domain.sources:
        path = Path(data)
        if FOLDER not in domain.sources or not (path.exists() or {"/", "."} & set(data)):
            missing = "there is no such folder and no such source" if FOLDER in domain.sources else "no such source"
            known = f"{nearest(name, domain.sources)} Sources: {', '.join(sorted(domain.sources))}"
            raise DataError(f"data {data!r}: {missing}{known}")
        return FOLDER, path
    return name, location
