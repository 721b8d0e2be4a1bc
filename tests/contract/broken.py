"""Parts that each break one contract of the plugin interface, and keep all others."""

from __future__ import annotations

import hashlib
import os
import random
import socket
import tempfile
import time
import wave
from functools import cached_property
from pathlib import Path

import attrs
import numpy as np
import torch
from attrs import evolve, field, frozen
from ddmi_audio import export, folder, notes
from ddmi_audio.parts import AudioParts
from ddmi_audio.settings import AudioSettings
from torch import nn
from torch.nn import functional as F

from ddmi_core.api import Condition, Posterior, SignalSet, Split
from ddmi_core.parts import (
    GridDomain,
    GridRenderer,
    GridSampler,
    GridSignal,
    StoredGrid,
    l1_loss,
    psnr_db,
)

# Settings


@attrs.define
class MutableSettings:
    """Can be changed (a subclass of a frozen class could not)."""

    loud: bool = False


@frozen(kw_only=True)
class BareSettings(AudioSettings):
    """Has a setting without a default."""

    needed: int


@frozen
class GrowingSettings(AudioSettings):
    """Changes a value each time that it is read."""

    gain: int = field(default=1, converter=lambda value: 2 * int(value))


class WrongNative(AudioSettings):
    """Says another native size than its signals have."""

    @property
    def native(self) -> tuple[int]:
        return (self.samples // 2,)


# Sources


class Wrapped(SignalSet):
    """The signals of another set; the classes below each break one promise of it."""

    def __init__(self, signals) -> None:
        self.signals = signals
        self.names, self.classes, self.labels = signals.names, signals.classes, signals.labels

    def batch(self, indices, generator=None):
        return self.signals.batch(indices, generator)

    def fingerprint(self) -> str:
        return self.signals.fingerprint()


class LabelsBeyondClasses(Wrapped):
    def __init__(self, signals) -> None:
        super().__init__(signals)
        self.labels = signals.labels + 1


class ChangedByAugmentation(Wrapped):
    def batch(self, indices, generator=None):
        if generator is not None:
            self.signals.grids[0][self.signals.rows[list(indices)]] //= 2
        return self.signals.batch(indices)


class RandomByItself(Wrapped):
    def batch(self, indices, generator=None):
        signal = self.signals.batch(indices)
        if generator is None:
            return signal
        return GridSignal(signal.values * torch.rand(len(indices), 1, 1), signal.finer)


class BatchLast(Wrapped):
    def batch(self, indices, generator=None):
        return GridSignal(self.signals.batch(indices, generator).values.movedim(0, -1))


class HashedByPython(Wrapped):
    def fingerprint(self) -> str:
        return hashlib.sha256(str(hash(tuple(self.names))).encode()).hexdigest()


def _wrapped(cls):
    def load(location, settings):
        split = notes.load(location, settings)
        return Split(cls(split.train), cls(split.held_out))

    return load


labels_beyond_classes = _wrapped(LabelsBeyondClasses)
changed_by_augmentation = _wrapped(ChangedByAugmentation)
random_by_itself = _wrapped(RandomByItself)
batch_last = _wrapped(BatchLast)
hashed_by_python = _wrapped(HashedByPython)


def none_held_out(location, settings):
    split = notes.load(location, settings)
    return Split(split.train, split.held_out.part([]))


def trained_on_what_is_held_out(location, settings):
    split = notes.load(location, settings)
    return Split(split.train, split.train.part([0, 1]))


def seeding(location, settings):
    np.random.seed(0)
    torch.manual_seed(0)
    random.seed(0)
    return notes.load(location, settings)


def leaving_a_file(location, settings):
    descriptor, _ = tempfile.mkstemp(suffix=".cache")
    os.close(descriptor)
    return notes.load(location, settings)


def fetching(location, settings):
    try:
        with socket.create_connection(("203.0.113.1", 80), timeout=1):
            pass
    except OSError:
        pass
    return notes.load(location, settings)


def failing_folder(location, settings):
    if location is None or not location.is_dir():
        raise FileNotFoundError(location)
    return folder.load(location, settings)


# Encoders


class _Encoder(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner


class BatchStatistics(_Encoder):
    def forward(self, signal):
        found = self.inner(signal)
        return Posterior(found.mean.map(lambda plane: plane - plane.mean(dim=0)), found.log_variance)


class Deaf(_Encoder):
    def forward(self, signal):
        return self.inner(GridSignal(signal.values * 0))


class Forgetful(_Encoder):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__(inner)
        self.scale = 1 + torch.rand(())  # neither a parameter nor a buffer

    def forward(self, signal):
        found = self.inner(signal)
        return Posterior(found.mean.map(lambda plane: plane * self.scale.to(plane)), found.log_variance)


class Exploding(_Encoder):
    """Finite for few signals, as the first batches are."""

    def forward(self, signal):
        found = self.inner(signal)
        factor = 1.0 if len(signal.values) <= 8 else float("inf")
        return Posterior(found.mean.map(lambda plane: plane * factor), found.log_variance)


def encoded_by(cls):
    """Members of an implementation with this encoder around the ready one."""
    return {"encoder": lambda self, config: cls(AudioParts.encoder(self, config))}


def too_many_channels(self, config):
    return AudioParts.encoder(self, evolve(config, latent_channels=config.latent_channels + 1))


# Decoders


class _Decoder(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner, self.channels = inner, inner.channels

    def forward(self, latent):
        return self.inner(latent)


class FineToCoarse(_Decoder):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__(inner)
        self.channels = tuple(reversed(inner.channels))

    def forward(self, latent):
        return tuple(reversed(self.inner(latent)))


class Constant(_Decoder):
    def forward(self, latent):
        return tuple(
            scale.map(lambda plane: plane.mean(dim=-1, keepdim=True).expand(plane.shape))
            for scale in super().forward(latent)
        )


class OnTheCpu(_Decoder):
    def forward(self, latent):
        return tuple(
            scale.map(lambda plane: plane + torch.linspace(0, 1, plane.shape[-1])) for scale in super().forward(latent)
        )


class WithSpareWeights(_Decoder):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__(inner)
        self.spare = nn.Linear(2, 2)


class FailingFarOut(_Decoder):
    """Finite for the latents of a batch of signals, and not for a batch of two samples."""

    def forward(self, latent):
        factor = float("nan") if latent.batch == 2 else 1.0
        return tuple(scale.map(lambda plane: plane * factor) for scale in super().forward(latent))


def decoded_by(cls):
    """Members of an implementation with this decoder around the ready one."""
    return {"decoder": lambda self, config: cls(AudioParts.decoder(self, config))}


# Samplers


class DoublePrecision(GridSampler):
    def sample(self, signal, n, generator):
        queries = super().sample(signal, n, generator)
        return evolve(queries, coords=queries.coords.double())


class RowsReversed(GridSampler):
    def sample(self, signal, n, generator):
        queries = super().sample(signal, n, generator)
        return evolve(queries, coords=queries.coords.flip(1), targets=queries.targets.flip(1))


class GlobalNumbers(GridSampler):
    def sample(self, signal, n, generator):
        return super().sample(signal, n, torch.default_generator)


class Still(GridSampler):
    def sample(self, signal, n, generator):
        return super().sample(signal, n, torch.Generator().manual_seed(0))


class FirstHalf(GridSampler):
    def sample(self, signal, n, generator):
        half = [level[..., : level.shape[-1] // 2] for level in signal.levels()]
        queries = super().sample(GridSignal(half[0], tuple(half[1:])), min(n, half[0].shape[-1]), generator)
        return evolve(queries, coords=(queries.coords - 1) / 2)


class Mirrored(GridSampler):
    def sample(self, signal, n, generator):
        queries = super().sample(signal, n, generator)
        return evolve(queries, coords=-queries.coords.flip(1), targets=queries.targets)


class AlignedCorners(GridSampler):
    def sample(self, signal, n, generator):
        length = signal.values.shape[-1]
        queries = super().sample(GridSignal(signal.values), n, generator)
        return evolve(queries, coords=queries.coords * length / (length - 1))


class FirstSignalsTargets(GridSampler):
    def sample(self, signal, n, generator):
        queries = super().sample(signal, n, generator)
        return evolve(queries, targets=queries.targets[:1].expand_as(queries.targets))


class NoFootprint(GridSampler):
    def sample(self, signal, n, generator):
        queries = super().sample(signal, n, generator)
        return evolve(queries, extra=torch.zeros_like(queries.extra))


def sampled_by(cls):
    """Members of an implementation with this sampler."""
    return {"sampler": cached_property(lambda self: cls(self.domain.layout))}


# Renderers


class Detached(GridRenderer):
    def observe(self, field, queries):
        return super().observe(field, queries).detach() + 0 * sum(w.sum() for w in field.readout.head.parameters())


class Noisy(GridRenderer):
    def observe(self, field, queries):
        values = super().observe(field, queries)
        return values + 0.01 * torch.randn_like(values)


class Normalising(GridRenderer):
    def observe(self, field, queries):
        values = super().observe(field, queries)
        return values - values.mean(dim=1, keepdim=True)


class Shifted(GridRenderer):
    """Renders at the corners of cells, observes at their centres."""

    def render(self, field, view=None):
        raster = super().render(field, view)
        axes = [torch.linspace(-1, 1, n) for n in reversed(raster.size)]
        with torch.inference_mode():
            values = torch.cat([slab for _, slab in field.lattice(axes, self.extra(raster.size)).slabs()])
        return StoredGrid(values=values.clamp(-1, 1).numpy(), size=raster.size, extent=raster.extent)


class Grainy(GridRenderer):
    def render(self, field, view=None):
        raster = super().render(field, view)
        values = raster.array() + 1e-6 * np.random.default_rng().standard_normal((*raster.size, 1), dtype=np.float32)
        return StoredGrid(values=values, size=raster.size, extent=raster.extent)


class NativeAlone(GridRenderer):
    def render(self, field, view=None):
        return super().render(field)


class Switching(GridRenderer):
    def render(self, field, view=None):
        torch.set_grad_enabled(False)
        return super().render(field, view)


def rendered_by(cls):
    """Members of an implementation with this renderer."""
    return {"renderer": cached_property(lambda self: cls(self.domain.layout, self.native, extent=self.settings.extent))}


# Losses and measures


def one_number(self, values, targets):
    return l1_loss(values, targets).mean()


def of_the_sum(self, values, targets):
    return l1_loss(values, -targets)


def weighted_labels(self, values, targets):
    return F.binary_cross_entropy_with_logits(values, targets, pos_weight=torch.tensor(3.0), reduction="none").mean(-1)


def rounded(self, values, targets):
    return (values - targets).abs().mean(dim=-1).mul(4).round().div(4)


class OnePerSignal(nn.Module):
    def __init__(self, options) -> None:
        super().__init__()

    def forward(self, values, targets):
        return (values - targets).abs().flatten(1).mean(dim=1)


def mean_over_all(fields, signal, renderer):
    return psnr_db(fields, signal, renderer).mean()


def error_called_score(fields, signal, renderer):
    return -psnr_db(fields, signal, renderer)


def half_of_the_features(self, signal):
    return AudioParts.signal_features(self, signal)[:, ::2]


class ForgottenBatch(Condition):
    length = 3

    def of(self, signals):
        return torch.zeros(self.length)

    def parse(self, text):
        return torch.zeros(self.length)


# Artefacts


def large_to_small(self):
    return tuple(reversed(GridDomain.report_views(self)))


def views_of_settings(self, settings):
    return (("native", settings.native),)


def array(self, artefact):
    return artefact.array()


def always_the_first(self, signal, index):
    return GridDomain.ground_truth(self, signal, 0)


def write_beside(artefact, path: Path) -> None:
    export.write_wav(artefact, path)
    path.with_suffix(".txt").write_text("a sound")


def write_words(artefact, path: Path) -> None:
    path.write_text("a sound")


def write_time(artefact, path: Path) -> None:
    export.write_wav(artefact, path)
    with path.open("ab") as stream:
        stream.write(str(time.perf_counter_ns()).encode())


def write_if_possible(artefact, path: Path) -> None:
    if path.parent.is_dir():
        export.write_wav(artefact, path)


def write_backwards(artefact, path: Path) -> None:
    values = np.ascontiguousarray(artefact.array()[::-1])
    export.write_wav(StoredGrid(values=values, size=artefact.size, extent=artefact.extent), path)


def read_unguarded(self, path: Path):
    with wave.open(str(path)) as file:
        assert file.getnframes()
    return folder.read(path, self.settings)


# Implementations for a fresh process, which imports them


class _FreshParts(AudioParts):
    load = staticmethod(notes.load)

    @classmethod
    def presets(cls):
        return AudioParts.presets()

    def sources(self):
        return {"notes": self.load}


class HashedByPythonParts(_FreshParts):
    load = staticmethod(hashed_by_python)


class FetchingParts(_FreshParts):
    load = staticmethod(fetching)


class SeedingParts(_FreshParts):
    load = staticmethod(seeding)


class LeavingAFileParts(_FreshParts):
    load = staticmethod(leaving_a_file)


def setting_a_variable(location, settings):
    os.environ["DDMI_BROKEN"] = "1"
    return notes.load(location, settings)


class SettingAVariableParts(_FreshParts):
    load = staticmethod(setting_a_variable)
