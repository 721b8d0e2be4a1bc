"""Settings that cannot act in a run: found before training by what data, parts and a trial of them have read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import attrs
from attrs import frozen
from torch import Tensor

from ddmi_core.api.signals import SignalSet
from ddmi_core.errors import ConfigError
from ddmi_core.model.data import source_name, takes_location
from ddmi_core.model.model import Model
from ddmi_core.nested import tensors
from ddmi_core.parts.domain_parts import AnyParts
from ddmi_core.settings.config import RunConfig
from ddmi_core.settings.resolve import resolve
from ddmi_core.training.objective import generator_for

# Sections that act after the trial, or in the trainer. The rest is read when parts are built, or in the trial.
LATER = ("autoencoder.training", "diffusion.training", "sampling", "evaluation")
# Keys of which only the objective of stage 1 knows whether they act: its terms on patches.
ON_PATCHES = ("autoencoder.adversarial", "autoencoder.perceptual", "autoencoder.patch")
AUGMENTED, DRAWS = 64, 4  # signals and draws of each that show whether data are augmented

Read = set[tuple[type, str]]  # classes of settings and names of their attributes


@frozen(kw_only=True)
class Trial:
    """What a trial with initial weights shows of a run.

    Args:
        model: the model of the trial.
        patches: whether the sampler drew a patch.
        augmented: whether training signals differ between draws.
        whole: whether evaluations and files were tried as well, which may be all that reads a domain's setting.
    """

    model: Model
    patches: bool
    augmented: bool
    whole: bool


@contextmanager
def reading(config: RunConfig) -> Iterator[Read]:
    """Record which settings are read inside of the context, by any code.

    A comparison, hash or copy of settings reads all of them, so some that cannot act may be missed.
    """
    classes = {type(section) for _, section in _sections(config)}
    found: Read = set()

    def recorded(settings: object, name: str) -> Any:
        found.add((type(settings), name))
        return object.__getattribute__(settings, name)

    for cls in classes:
        cls.__getattribute__ = recorded  # type: ignore[assignment]
    try:
        yield found
    finally:
        for cls in classes:
            del cls.__getattribute__


def augmented(signals: SignalSet) -> bool:
    """Whether a set gives other tensors for the same signals in training, from a few draws of signals of all of it."""
    for index in range(0, len(signals), -(-len(signals) // AUGMENTED)):
        plain = list(tensors(signals.batch([index])))
        for number in range(DRAWS):
            drawn = tensors(signals.batch([index], generator_for(0, "augmented", index, number)))
            if not all(_same(first, second) for first, second in zip(plain, drawn, strict=True)):
                return True
    return False


def check_settings_act(
    parts: AnyParts, config: RunConfig, read: Read, trial: Trial, base: RunConfig | None = None
) -> list[str]:
    """Find settings that change nothing in this run.

    Args:
        parts: the domain.
        config: of the run.
        read: what data, parts and trial have read.
        trial: of the parts.
        base: the settings that the user has changed; those of the preset by default.

    Returns:
        notes about terms of the loss that presets or defaults switch on and that cannot act, and about settings of a
        domain that are not read for data in files.

    Raises:
        ConfigError: if a setting cannot act whose value is neither that of the base nor the default.
    """
    reasons = dict(_reasons(parts, config, frozenset(read), trial))  # first: what follows reads all settings
    default = _values(RunConfig(config.plugin, domain=type(config.domain)()))
    default["autoencoder.perceptual.kind"] = "none"  # the default of this one is a term
    preset, values = _values(base or resolve(parts.domain, config.preset)), _values(config)
    idle = {key: why for key, why in reasons.items() if values[key] not in (default[key], preset[key])}
    # What readers of files have done may be in a cache, so that they read fewer settings.
    cached = [key for key in idle if key.startswith("domain.") and takes_location(parts, config.data)]
    noted = [f"{key} = {values[key]!r} seems to do nothing: {idle.pop(key)}" for key in cached]
    if idle:
        key, why = next(iter(idle.items()))
        others = f" The same holds for {', '.join(list(idle)[1:])}." if len(idle) > 1 else ""
        raise ConfigError(
            f"setting {key!r}: it was given {values[key]!r} and cannot act, because {why}.{others} Fix: leave it out, "
            "or change what it depends on",
            key,
        )
    perceptual = config.autoencoder.perceptual
    on = {
        "autoencoder.adversarial.start": bool(config.autoencoder.adversarial.start),
        "autoencoder.perceptual.kind": perceptual.kind != "none" and perceptual.weight > 0,
    }
    return noted + [
        f"{key} = {values[key]!r} does nothing, because {why}"
        for key, why in reasons.items()
        if on.get(key) and not trial.patches
    ]


def _reasons(
    parts: AnyParts, config: RunConfig, read: frozenset[tuple[type, str]], trial: Trial
) -> Iterator[tuple[str, str]]:
    """Keys that cannot act, and why; a key may occur twice, the last reason is the closest one."""
    for prefix, section in _sections(config):
        if prefix == "domain" and not trial.whole:
            continue
        for name in attrs.fields_dict(type(section)):
            if (type(section), name) not in read and not attrs.has(type(getattr(section, name))):
                yield f"{prefix}.{name}", _unread(parts, config, prefix, section, name)
    autoencoder, diffusion = config.autoencoder, config.diffusion
    yield from _schedules(config)
    yield from _terms(config)
    if len(parts.domain.layout.planes) == 1:
        yield "autoencoder.readout.planes", f"domain {parts.domain.name!r} has one plane"
        if diffusion.denoiser.planes == "joined":
            yield "diffusion.denoiser.planes", f"domain {parts.domain.name!r} has one plane, as 'shared' treats it"
    if diffusion.denoiser.head_channels:
        why = f"diffusion.denoiser.head_channels = {diffusion.denoiser.head_channels} determines the number of heads"
        yield "diffusion.denoiser.heads", why
    if len(trial.model.autoencoder.decoder.channels) == 1:
        yield "autoencoder.readout.joining", f"autoencoder.decoder.basis = {autoencoder.decoder.basis} is one scale"
    if not trial.patches:
        why = f"{type(parts.sampler).__name__}, the sampler of domain {parts.domain.name!r}, draws no patch of a grid"
        yield from ((key, why) for key in _values(config) if key.startswith(ON_PATCHES))
    if not trial.model.diffusion.conditioned:
        nothing = "" if diffusion.condition == "none" else " and the data have none"
        why = f"diffusion.condition = {diffusion.condition!r}{nothing}, so there is nothing to drop or to guide to"
        interval = ("sampling.guidance_from", "sampling.guidance_to") if config.sampling.autoguidance == 1 else ()
        yield from ((key, why) for key in ("diffusion.drop_condition", "sampling.guidance", *interval))
    if diffusion.latents == "fresh":
        yield "diffusion.stored", "diffusion.latents = 'fresh' stores no latents"
    if not trial.augmented:
        yield "diffusion.copies", f"the data are not augmented (data = {source_name(parts, config.data)!r})"


def _schedules(config: RunConfig) -> Iterator[tuple[str, str]]:
    """Keys of schedules without an effect."""
    for stage, training in (("autoencoder", config.autoencoder.training), ("diffusion", config.diffusion.training)):
        if training.warmup >= training.steps:
            end = f"{stage}.training.warmup = {training.warmup} lasts for all {stage}.training.steps = {training.steps}"
            yield f"{stage}.training.schedule", end
    autoencoder = config.autoencoder
    if not autoencoder.kl and autoencoder.spectral_start in (0, autoencoder.spectral):
        why = f"autoencoder.kl = 0, and autoencoder.spectral_start = {autoencoder.spectral_start} changes no weight"
        yield "autoencoder.kl_anneal", why


def _terms(config: RunConfig) -> Iterator[tuple[str, str]]:
    """Keys of terms on patches that have no weight."""
    autoencoder, adversarial = config.autoencoder, config.autoencoder.adversarial
    start, steps = adversarial.start, autoencoder.training.steps
    why = ""
    if start >= steps:
        why = f"autoencoder.adversarial.start = {start} is not below autoencoder.training.steps = {steps}"
    elif start and not adversarial.weight:
        why = "autoencoder.adversarial.weight = 0"
        yield "autoencoder.adversarial.adaptive", why
        why = "" if adversarial.features else f"{why} and autoencoder.adversarial.features = 0"
    if why:
        yield from ((f"autoencoder.adversarial.{name}", why) for name in attrs.fields_dict(type(adversarial)))
    if not autoencoder.perceptual.weight:
        for name in ("kind", "weights_file"):
            yield f"autoencoder.perceptual.{name}", "autoencoder.perceptual.weight = 0"
    perceptual = autoencoder.perceptual.kind != "none" and autoencoder.perceptual.weight
    if not (perceptual or (start and not why)):
        yield "autoencoder.patch", "perceptual and adversarial terms are off"


def _unread(parts: AnyParts, config: RunConfig, prefix: str, section: Any, name: str) -> str:
    if prefix == "domain":
        return f"neither data = {source_name(parts, config.data)!r} nor anything after them reads it"
    if prefix == "autoencoder":
        group = name.partition("_")[0]
        return f"{prefix}.{group} = {getattr(section, group)!r} does not use it"
    if prefix == "autoencoder.adversarial" and not section.start:
        return f"autoencoder.adversarial.start = {section.start} trains no discriminator"
    if (kind := getattr(section, "kind", None)) is not None:
        owner = f" of domain {parts.domain.name!r}" if prefix.startswith("autoencoder") else ""
        return f"{prefix}.kind = {kind!r}{owner} does not read it"
    part = prefix.rpartition(".")[2]
    return f"the {part} of domain {parts.domain.name!r} does not read it"


def _sections(config: RunConfig) -> Iterator[tuple[str, Any]]:
    """Sections that are read before the end of the trial, by their dotted keys."""
    yield "domain", config.domain
    yield "autoencoder", config.autoencoder
    for prefix, table in (("autoencoder", config.autoencoder), ("diffusion", config.diffusion)):
        for name in attrs.fields_dict(type(table)):
            if attrs.has(type(section := getattr(table, name))) and f"{prefix}.{name}" not in LATER:
                yield f"{prefix}.{name}", section


def _values(settings: Any, prefix: str = "") -> dict[str, Any]:
    """Values by dotted key."""
    values: dict[str, Any] = {}
    for name in attrs.fields_dict(type(settings)):
        value = getattr(settings, name)
        values |= _values(value, f"{prefix}{name}.") if attrs.has(type(value)) else {prefix + name: value}
    return values


def _same(first: Tensor, second: Tensor) -> bool:
    return first.shape == second.shape and first.dtype == second.dtype and bool((first == second).all())
