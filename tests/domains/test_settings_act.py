"""Every setting of every built-in domain acts, or is an error that says why: two steps with one value and with another.

Each setting takes another valid value, found from its type. Losses, weights, latents, samples, data and figures are
compared with those of the domain's small configuration; if nothing differs, the trial before training must refuse it.
What differs must be what the setting declares to act on.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from functools import cached_property
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, get_args, get_origin
from unittest.mock import Mock

import attrs
import pytest
import torch
from attrs import evolve

import smaller
from ddmi_core.autoencoder.objective import ReconstructionObjective
from ddmi_core.blocks import blocks
from ddmi_core.diffusion.latent_diffusion import DenoisingObjective
from ddmi_core.errors import ConfigError, DdmiError
from ddmi_core.model import latent_cache
from ddmi_core.model.build import autoencoder_objectives, build_autoencoder, build_condition, build_diffusion
from ddmi_core.model.data import load_data
from ddmi_core.model.latent_store import Encoding
from ddmi_core.nested import tensors
from ddmi_core.parts.domain_parts import AnyParts, build_parts, implementation
from ddmi_core.registry.registry import domain_named
from ddmi_core.runs import idle_settings, rehearsal
from ddmi_core.runs.idle_settings import LATER, Trial, reading
from ddmi_core.runs.rehearsal import Some
from ddmi_core.settings.config import RunConfig
from ddmi_core.settings.resolve import keys, resolve
from ddmi_core.settings.schema import choices, hints
from ddmi_core.steps import AUTOENCODER, DENOISER, FIGURES, LATENTS, SAMPLES
from ddmi_core.training import checkpoint, trainer
from ddmi_core.training.config import TrainingConfig
from ddmi_core.training.log import Log
from ddmi_core.training.objective import Losses, Objective, StepContext, generator_for
from ddmi_core.training.read_ahead import Reader
from ddmi_core.training.trainer import Stage, train

CPU = torch.device("cpu")
Found = dict[str, list[Any]]  # what a configuration gives, by the step of a run; under OTHER, what is no result
OTHER = ""
SMALL = {
    "image": ("domain.size=16", "domain.limit=24"),
    "nerf": ("domain.count=8", "domain.views=4", "domain.shown=2", "domain.held_views=1", "domain.size=8"),
    "occupancy": ("domain.count=8", "domain.surface=64", "domain.points=128", "domain.plane=8", "domain.resolution=8"),
    "video": ("domain.count=10", "domain.frames=4", "domain.size=16", "domain.rate=4", "domain.held_out=0.3"),
}
EVERYWHERE = (
    "autoencoder.encoder.widths=[8, 16]",
    "autoencoder.decoder.widths=[16, 8]",
    "autoencoder.decoder.basis=[4, 4]",
    "autoencoder.readout.width=8",
    "autoencoder.latent_channels=2",
    "autoencoder.points=64",
    "autoencoder.training.steps=3",
    "diffusion.denoiser.width=8",
    "diffusion.denoiser.multipliers=[1, 2]",
    "diffusion.copies=1",
)


def others(parts: AnyParts, value: Any, kind: Any, validator: Any) -> Iterator[Any]:
    """Other values of a setting, of which the first valid one is used."""
    yield from (name for name in choices(kind, validator) if name != value)
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield from (2 * value, value + 1, value - 1)
    elif isinstance(value, float):
        yield from (10 * value, 2 * value, value / 2) if value else (1.0, 0.5)
    elif isinstance(value, str):
        yield from (name for name in ("none", *parts.perceptual(), *parts.conditions(), "other") if name != value)
    elif get_origin(kind) is tuple:
        more = get_args(kind)[0]
        yield [*value[:-1], 2 * value[-1]] if value and more is not str else list(value[:-1])
        yield from ([2, 1, 3][:axes] for axes in (1, 2, 3))


def keys_of(config: RunConfig) -> dict[str, Any]:
    return {row.key: row.default for row in keys(config)}


def valued(small: Small, key: str) -> RunConfig | None:
    """The configuration with another valid value of a setting; `None` if there is none."""
    config, parts = small.config, small.parts
    *path, name = key.split(".")
    section: Any = config
    for table in path:
        section = getattr(section, table)
    attribute, kind = attrs.fields_dict(type(section))[name], hints(type(section))[name]
    for value in others(parts, getattr(section, name), kind, attribute.validator):
        text = str(value).lower() if isinstance(value, bool) else str(value)
        try:
            other = resolve(small.domain, small.preset, overrides=(*small.overrides, f"{key}={text}"))
            tried = build_parts(small.domain, other.domain)
            tried.preflight()
            objectives = autoencoder_objectives(tried, other, build_autoencoder(tried, other), small.split)
            objectives["autoencoder"].draw(StepContext(0, (0,), generator_for(0, "valid"), CPU))
        except (DdmiError, ValueError):
            continue
        if keys_of(other)[key] != keys_of(config)[key]:
            return other
    return None


def step(objective: Objective, number: int) -> tuple[torch.Tensor, ...]:
    """The losses of a training step, after which the weights are changed."""
    losses: Losses = objective(StepContext(number, (0, 1), generator_for(0, "step", number), CPU))
    optimiser = torch.optim.AdamW(objective.trained.parameters(), lr=1e-3 * objective.rate)
    losses.total.backward()
    optimiser.step()
    optimiser.zero_grad()
    return losses.total.detach(), *(loss.detach() for _, loss in losses.parts)


def changed_steps(first: Found, second: Found) -> set[str]:
    """The steps whose results differ."""
    return {step for step in first if differ(first[step], second[step])}


def differ(first: list[Any], second: list[Any]) -> bool:
    """Whether two lists of tensors and of plain values differ."""
    if len(first) != len(second):
        return True
    for one, other in zip(first, second, strict=True):
        if isinstance(one, torch.Tensor):
            if one.shape != other.shape or not torch.equal(one, other):
                return True
        elif one != other:
            return True
    return False


class Small:
    """A domain with few small signals, and what two steps of training give."""

    def __init__(self, name: str) -> None:
        self.domain = domain_named(name)
        self.preset = "tiny" if "tiny" in implementation(self.domain).presets() else ""
        self.overrides = (*EVERYWHERE, *SMALL[name])
        self.config = resolve(self.domain, self.preset, overrides=self.overrides)
        self.parts = build_parts(self.domain, self.config.domain)
        condition = build_condition(self.parts, self.config)
        with pytest.MonkeyPatch.context() as patch, reading(self.config) as read:
            patch.setattr(rehearsal, "SECONDS", 0)  # the trial without its evaluations, which read no other settings
            patch.setattr(rehearsal, "check_settings_act", self.keep)
            self.parts.preflight()
            self.split = load_data(self.parts, "")
            self.vectors = condition and latent_cache.vectors_of(condition, self.split.train)
            rehearsal.rehearse(self.parts, self.config, self.split, self.vectors, read)

    def keep(
        self, parts: AnyParts, config: RunConfig, read: idle_settings.Read, trial: Trial, base: RunConfig | None = None
    ) -> list[str]:
        """Keep what the trial has read, instead of the check of this configuration."""
        self.read, self.trial = set(read), evolve(trial, whole=True)
        return []

    def refused(self, config: RunConfig) -> str:
        """The key that a run with this configuration refuses, or nothing."""
        main = autoencoder_objectives(self.parts, config, self.autoencoder, self.split)["autoencoder"]
        drawn = main.draw(StepContext(0, (0,), generator_for(0, "patch"), CPU))[2].patch
        try:
            trial = evolve(self.trial, patches=bool(drawn))
            idle_settings.check_settings_act(self.parts, config, self.read, trial)
        except ConfigError as error:
            return error.key if "cannot act, because" in str(error) else "another error"
        return ""

    @contextmanager
    def changed(self, *overrides: str) -> Iterator[None]:
        """Start from other values inside of the context."""
        kept = self.config, self.overrides
        self.overrides = (*self.overrides, *overrides)
        self.config = resolve(self.domain, self.preset, overrides=self.overrides)
        try:
            yield
        finally:
            self.config, self.overrides = kept

    def first_stage(self, config: RunConfig) -> Found:
        model = build_autoencoder(self.parts, config)
        objectives = autoencoder_objectives(self.parts, config, model, self.split)
        main = objectives["autoencoder"]
        assert isinstance(main, ReconstructionObjective)
        losses = [loss for number in range(2) for loss in step(main, number)]
        return {AUTOENCODER: [*losses, *model.state_dict().values()]}

    def second_stage(self, config: RunConfig) -> Found:
        diffusion = config.diffusion
        encoded = latent_cache.encode(
            self.autoencoder,
            Some(self.split.train, 8),
            Encoding(diffusion.copies, 0, diffusion.latents == "fresh", diffusion.stored),
            CPU,
            self.given(config),
        )
        length = encoded.vectors.shape[2]
        model = build_diffusion(self.domain, config, encoded.shape, len(encoded.classes), length)
        with torch.no_grad():  # an untrained denoiser predicts zero, whatever its condition
            for weights in model.parameters():
                weights += 0.1 * torch.randn(weights.shape, generator=generator_for(0, "weights"))
        objective = DenoisingObjective(model, encoded.flat, encoded.vectors if length else encoded.labels)
        losses = [loss for number in range(2) for loss in step(objective, number)]
        latents = [encoded.flat, encoded.normalisation.std, encoded.vectors]
        return {LATENTS: latents, DENOISER: [*losses, *model.state_dict().values()]}

    def trained(self, stage: str, folder: Path) -> Any:
        """A function from a configuration to what three steps of a stage with its training settings give."""
        number = count()
        model = build_autoencoder(self.parts, self.config)
        main = autoencoder_objectives(self.parts, self.config, model, self.split)["autoencoder"]
        if stage == "diffusion":
            encoded = latent_cache.encode(model.eval(), Some(self.split.train, 8), Encoding(), CPU)
            main = DenoisingObjective(
                build_diffusion(self.domain, self.config, encoded.shape, 0), encoded.flat, encoded.labels
            )
        initial = deepcopy(main.trained.state_dict())

        def train_with(config: RunConfig) -> Found:
            main.trained.load_state_dict(initial)
            place, seen = folder / str(next(number)), []
            place.mkdir()
            stored, compiled, readers = Mock(wraps=checkpoint.save), Mock(), Mock(wraps=Reader)
            divided = Mock(return_value=False)
            training = getattr(config, stage).training
            log, logged = Log(place / "log.jsonl"), lambda moment: seen.append(moment.step)
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(checkpoint, "save", stored)
                patch.setattr(torch.nn.Module, "compile", compiled)
                patch.setattr(trainer, "Reader", readers)
                patch.setattr(trainer, "shard", divided)
                train(Stage(stage, place, training, 0, log, logged=logged), {stage: main})
            groups = stored.call_args.args[1]
            final = [*groups["weights"].values(), *groups.get(checkpoint.SNAPSHOT, {}).values()]
            again = [block.recomputes for block in blocks(main.trained)]
            called = [compiled.called, divided.called]
            other = [seen, stored.call_count, *called, readers.call_args.args[2], again]
            return {AUTOENCODER if stage == "autoencoder" else DENOISER: final, OTHER: other}

        return train_with

    def sampled(self) -> Any:
        """A function from a configuration to what a model with random weights draws."""
        diffusion = deepcopy(self.trial.model.diffusion)
        with torch.no_grad():
            for weights in diffusion.parameters():
                weights += 0.1 * torch.randn(weights.shape, generator=generator_for(0, "weights"))

        def draw(config: RunConfig) -> Found:
            model = evolve(self.trial.model, config=config, diffusion=diffusion)
            return {SAMPLES: [model.sample_latents(config.sampling.count)], FIGURES: [model.sample_latents(2)]}

        return draw

    def given(self, config: RunConfig) -> torch.Tensor | None:
        condition = build_condition(self.parts, config)
        return None if condition is None else latent_cache.vectors_of(condition, Some(self.split.train, 8))

    @cached_property
    def autoencoder(self) -> Any:
        return build_autoencoder(self.parts, self.config).eval()

    def of_the_data(self, config: RunConfig) -> Found:
        """Data, queries, and what parts make of them."""
        parts = build_parts(self.domain, config.domain)
        split = load_data(parts, "")
        seen: list[Any] = [split.train.names, split.held_out.names, [label for label, _ in parts.report_views()]]
        seen.append(split.fingerprint())
        generator = generator_for(0, "settings")
        for signals in (split.train, split.held_out):
            few = range(min(16, len(signals)))
            seen += [tensor for given in (None, generator) for tensor in tensors(signals.batch(few, given))]
        with torch.no_grad():
            field = (model := build_autoencoder(parts, config)).decode(model.encode(split.train.batch([0])).mean)
            for draw in range(32):  # one of several sizes is drawn at a time
                queries = parts.sampler.sample(split.train.batch([0]), 64, generator_for(0, "queries", draw))
                seen += [queries.coords, queries.extra]
            seen += [queries.coords, queries.targets, parts.renderer.observe(field, queries)]
            artefact = parts.renderer.render(field)
        suffix, write = next(iter(parts.exporters().items()))
        with TemporaryDirectory() as folder:
            write(artefact, file := Path(folder) / f"artefact{suffix}")
            return {AUTOENCODER: [*seen, parts.still(artefact).tobytes(), file.read_bytes()]}


SLOW = [pytest.param(name, marks=pytest.mark.slow) if name in ("nerf", "occupancy") else name for name in sorted(SMALL)]


@pytest.fixture(scope="module", params=SLOW)
def small(request, tmp_path_factory) -> Iterator[Small]:
    with pytest.MonkeyPatch.context() as patch, smaller.pictures():
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield Small(request.param)


def examined(small: Small, under: tuple[str, ...], result: Any) -> tuple[list[str], list[str], list[str]]:
    """Keys that act, keys that are refused, and keys that do neither or both, or that declare to act on other steps."""
    act, refused, wrong, plain = [], [], [], result(small.config)
    for row in keys(small.config):
        if not row.key.startswith(under) or (row.key.startswith(LATER) and not set(under) <= set(LATER)):
            continue
        if (config := valued(small, row.key)) is None:
            continue
        changed, error = changed_steps(plain, result(config)), small.refused(config)
        seen = bool(changed) != bool(error) and error in ("", row.key)
        undeclared = changed - {OTHER} - set(row.acts_on)
        needless = changed == {OTHER} and row.acts_on
        (wrong if not seen or undeclared or needless else act if changed else refused).append(row.key)
    return act, refused, wrong


def test_every_setting_of_the_autoencoder_acts_or_is_refused(small):
    act, refused, wrong = examined(small, ("autoencoder.",), small.first_stage)
    assert not wrong
    assert {"autoencoder.points", "autoencoder.kl", "autoencoder.kl_anneal", "autoencoder.decoder.basis"} <= set(act)
    assert "autoencoder.equivariance" in act
    assert "autoencoder.adversarial.start" in (act if small.trial.patches else refused)
    assert "autoencoder.adversarial.width" in refused


def test_every_setting_of_the_diffusion_acts_or_is_refused(small):
    act, refused, wrong = examined(small, ("diffusion.",), small.second_stage)
    assert not wrong
    assert {"diffusion.target", "diffusion.path.shift", "diffusion.denoiser.heads"} <= set(act)
    assert {"diffusion.path.beta_end", "diffusion.denoiser.patch"} <= set(refused)


def test_every_setting_of_the_domain_acts_or_is_refused(small):
    act, refused, wrong = examined(small, ("domain.",), small.of_the_data)
    assert not wrong
    assert "domain.strict" in refused
    assert act


# Values with which three steps show the others.
SHORT = ("steps=3", "precision=fp32", "warmup=1", "checkpoint=1", "log=1", "ema=0.05", "clip=0.01", "batch=2")


@pytest.mark.parametrize("stage", ["autoencoder", "diffusion"])
def test_every_setting_of_training_acts_or_is_refused(small, stage, tmp_path):
    """The trainer knows no domain, so one of them suffices."""
    if small.domain.name != "image":
        pytest.skip("examined with images")
    under = f"{stage}.training"
    values = (*SHORT, "snapshot=0.4") if stage == "diffusion" else SHORT
    with small.changed(*(f"{under}.{value}" for value in values)):
        act, refused, wrong = examined(small, (under,), small.trained(stage, tmp_path))
    assert not wrong
    assert not refused
    for_denoisers = {f"{under}.shard", f"{under}.snapshot"} if stage == "autoencoder" else set()
    assert {*act} | for_denoisers == {f"{under}.{name}" for name in attrs.fields_dict(TrainingConfig)}


def test_every_setting_of_sampling_acts_or_is_refused(small):
    guided = small.trial.model.diffusion.conditioned
    with small.changed("sampling.count=2", "sampling.steps=4", *(["sampling.guidance=2"] if guided else [])):
        act, refused, wrong = examined(small, ("sampling",), small.sampled())
    assert not wrong
    assert {"sampling.count", "sampling.sampler", "sampling.steps"} <= set(act)
    assert {"sampling.guidance", "sampling.guidance_from", "sampling.guidance_to"} <= set(act if guided else refused)


IDLE = {
    "diffusion.training.schedule=constant": ("warmup = 5 lasts for all", "diffusion.training.warmup=5"),
    "autoencoder.kl_anneal=0.5": ("autoencoder.kl = 0", "autoencoder.kl=0"),
    "autoencoder.adversarial.adaptive=false": ("weight = 0", "autoencoder.adversarial.weight=0"),
    "autoencoder.adversarial.kind=patchgan": ("features = 0", "autoencoder.adversarial.weight=0"),
    "autoencoder.patch=[4, 4]": ("terms are off", "autoencoder.perceptual.kind=none"),
    "diffusion.denoiser.planes=joined": ("has one plane",),
}


@pytest.mark.parametrize("setting", IDLE)
def test_settings_that_others_switch_off_are_refused(small, setting):
    if small.domain.name != "image":
        pytest.skip("examined with images")
    told, *others = IDLE[setting]
    others += ["autoencoder.adversarial.start=1"] if "adversarial" in setting else ["diffusion.training.steps=3"]
    config = resolve(small.domain, small.preset, overrides=(*small.overrides, *others, setting))
    assert small.refused(config)
    with pytest.raises(ConfigError, match=told):
        idle_settings.check_settings_act(small.parts, config, small.read, small.trial)
