"""Construction of a domain's parts and models from a configuration."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import nn

from ddmi_core.api.conditions import Condition
from ddmi_core.api.domain import Domain
from ddmi_core.api.signals import Split
from ddmi_core.autoencoder.config import AutoencoderConfig
from ddmi_core.autoencoder.d2c_vae import D2CVAE
from ddmi_core.autoencoder.objective import DiscriminatorObjective, ReconstructionObjective
from ddmi_core.conditions.text import Captioned, network_tokens
from ddmi_core.conditions.text_network import is_network
from ddmi_core.conditions.vocabulary import Vocabulary
from ddmi_core.diffusion.latent_diffusion import LatentDiffusion
from ddmi_core.diffusion.latents import LatentShape
from ddmi_core.diffusion.paths import path_from
from ddmi_core.errors import ConfigError, DdmiError, unknown_name
from ddmi_core.model.memory import StageMemory, check_fits, free_on
from ddmi_core.parts.domain_parts import AnyParts
from ddmi_core.parts.returns import instance, require
from ddmi_core.registry.extensions import part
from ddmi_core.settings.config import RunConfig
from ddmi_core.training.distributed import default_device
from ddmi_core.training.objective import Objective, generator_for


@contextmanager
def initial_weights(seed: int, purpose: str) -> Iterator[None]:
    """Make module construction depend on the seed alone, and restore the global random state."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(generator_for(seed, "initial", purpose).initial_seed())
        yield


def build_autoencoder(parts: AnyParts, config: RunConfig) -> D2CVAE:
    """The D2C-VAE with the initial weights of the run's seed."""
    sizes: AutoencoderConfig = config.autoencoder
    with initial_weights(config.seed, "autoencoder"):
        return D2CVAE(
            parts.encoder(sizes),
            parts.decoder(sizes),
            parts.domain.layout,
            len(parts.channels()),
            sizes.readout,
        )


def build_condition(parts: AnyParts, config: RunConfig, vocabulary: Vocabulary | None = None) -> Condition | None:
    """The domain's condition that the configuration names; `None` for no condition and for classes.

    Args:
        parts: the domain.
        config: of the run.
        vocabulary: of the captions of a trained model.

    Raises:
        PluginError: if the domain makes something else.
    """
    name = config.diffusion.condition
    if name in ("none", "class"):
        return None
    condition = network_tokens(name) if is_network(name) else parts.conditions()[name]()
    require(instance(Condition), condition, f"domain {parts.domain.name!r}: condition {name!r}")
    if vocabulary is not None and isinstance(condition, Captioned):
        condition.vocabulary = vocabulary
    return condition


def build_diffusion(
    domain: Domain, config: RunConfig, shape: LatentShape, classes: int, vectors: int = 0, tokens: int = 0
) -> LatentDiffusion:
    """The diffusion model with the initial weights of the run's seed.

    Args:
        domain: the domain.
        config: of the run.
        shape: of the latent.
        classes: number of classes of the data.
        vectors: length of the condition's vectors, 0 without a condition.
        tokens: length of its tokens, 0 without them.
    """
    conditioned = classes if config.diffusion.condition == "class" else 0
    with initial_weights(config.seed, "diffusion"):
        return LatentDiffusion(domain.layout, shape, conditioned, config.diffusion, vectors, tokens)


def build_perceptual(parts: AnyParts, config: RunConfig) -> nn.Module | None:
    """The perceptual term that the configuration names; `None` for none.

    Raises:
        ConfigError: if the domain has no such term, or a package or file that it needs is missing.
        PluginError: if the term is no module.
    """
    options = config.autoencoder.perceptual
    if options.kind == "none":
        return None
    terms = parts.perceptual()
    if options.kind not in terms:
        known = (*terms, "none")
        raise ConfigError(f"autoencoder.perceptual.kind: {unknown_name('term', options.kind, known)}")
    with initial_weights(config.seed, "perceptual"):
        term = terms[options.kind](options)
    where = f"domain {parts.domain.name!r}: perceptual term {options.kind!r}"
    require(instance(nn.Module, "a torch.nn.Module"), term, where)
    return term


def check_parts(parts: AnyParts, config: RunConfig) -> None:
    """Build the parts of a configuration before data are read, networks without memory on the meta device.

    Raises:
        ConfigError: if settings do not fit together, a package or file that a part needs is missing, or the memory does
            not suffice for the training of the weights.
    """
    device, counts = default_device(), check_networks(parts, config)
    stages = (("autoencoder", config.autoencoder.training), ("diffusion", config.diffusion.training))
    check_fits((StageMemory(key, training, counts.get(key, 0)) for key, training in stages), free_on(device), device)
    build_perceptual(parts, config)
    build_condition(parts, config)


def check_networks(parts: AnyParts, config: RunConfig) -> dict[str, int]:
    """Build the networks of a configuration without memory on the meta device.

    A part that cannot be built on the meta device is not examined here, but by the trial with data.

    Returns:
        The numbers of parameters by the section of the stage, `autoencoder` and `diffusion`, as far as they are known.

    Raises:
        ConfigError: if settings do not fit together.
    """
    channels, denoiser = config.autoencoder.latent_channels, config.diffusion.denoiser

    def network() -> object:
        return part("denoisers", denoiser.kind)(parts.domain.layout, channels, 4 * denoiser.width, denoiser)

    counts: dict[str, int] = {}
    for section, build in (
        ("autoencoder.encoder", partial(parts.encoder, config.autoencoder)),
        ("autoencoder.decoder", partial(parts.decoder, config.autoencoder)),
        ("autoencoder", partial(build_autoencoder, parts, config)),
        ("diffusion.path", partial(path_from, config.diffusion.path)),
        ("diffusion.denoiser", network),
    ):
        try:
            with torch.device("meta"):
                built = build()
        except DdmiError:
            raise
        except ValueError as error:
            raise ConfigError(f"the settings of {section} do not fit together: {error}", section) from error
        except Exception:  # it may need values, which the meta device does not have; the trial with data reports it
            continue
        if isinstance(built, nn.Module) and section in ("autoencoder", "diffusion.denoiser"):
            counts[section.partition(".")[0]] = sum(weight.numel() for weight in built.parameters())
    return counts


def autoencoder_objectives(parts: AnyParts, config: RunConfig, model: D2CVAE, split: Split) -> dict[str, Objective]:
    """The objectives of stage 1: reconstruction, and the discriminator if it is configured.

    Raises:
        ConfigError: if the domain has no such perceptual term.
        PluginError: if the term is no module.
    """
    main = ReconstructionObjective(
        model,
        split.train,
        parts.sampler,
        parts.renderer,
        parts.loss,
        build_perceptual(parts, config),
        config.autoencoder,
    )
    objectives: dict[str, Objective] = {"autoencoder": main}
    if config.autoencoder.adversarial.start:
        with initial_weights(config.seed, "discriminator"):
            objectives["discriminator"] = DiscriminatorObjective(
                main, len(parts.domain.layout.axes), len(parts.observed())
            )
    return objectives
