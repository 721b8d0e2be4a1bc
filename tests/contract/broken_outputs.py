"""Parts whose results have another form, range or number than the contract says."""

from __future__ import annotations

import numpy as np
import torch
from attrs import evolve
from broken import Wrapped, _Decoder, _Encoder, _wrapped, decoded_by, encoded_by, rendered_by, sampled_by
from ddmi_audio import export, folder, spectral
from ddmi_audio.parts import AudioParts
from ddmi_audio.settings import AudioSettings
from PIL import Image
from torch import nn

from ddmi_core.api import Figure, Posterior
from ddmi_core.errors import DataError
from ddmi_core.parts import GridRenderer, GridSampler, StoredGrid, psnr_db


class MeanAlone(_Encoder):
    def forward(self, signal):
        return self.inner(signal).mean


class OneVariance(_Encoder):
    def forward(self, signal):
        found = self.inner(signal)
        return Posterior(found.mean, found.log_variance.map(lambda plane: plane[..., :1]))


class Restless(_Encoder):
    def forward(self, signal):
        found = self.inner(signal)
        return Posterior(found.mean.map(lambda plane: plane + torch.rand_like(plane)), found.log_variance)


class OneScaleMore(_Decoder):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__(inner)
        self.channels = (*inner.channels, 4)


class Double(_Decoder):
    def forward(self, latent):
        return tuple(scale.map(torch.Tensor.double) for scale in super().forward(latent))


class DecoderOverTheBatch(_Decoder):
    def forward(self, latent):
        return tuple(scale.map(lambda plane: plane - plane.mean(dim=0)) for scale in super().forward(latent))


class Outside(GridSampler):
    def sample(self, signal, n, generator):
        queries = super().sample(signal, n, generator)
        return evolve(queries, coords=2 * queries.coords)


class Everything(GridSampler):
    def sample(self, signal, n, generator):
        return super().sample(signal, 100 * n, generator)


class UnknownTargets(GridSampler):
    def sample(self, signal, n, generator):
        queries = super().sample(signal, n, generator)
        return evolve(queries, targets=queries.targets.where(queries.coords < 0.5, float("nan")))


class NegativeWeights(GridSampler):
    def sample(self, signal, n, generator):
        queries = super().sample(signal, n, generator)
        return evolve(queries, weights=queries.coords[..., 0])


class NothingKnown(GridSampler):
    def sample(self, signal, n, generator):
        queries = super().sample(signal, n, generator)
        return evolve(queries, weights=torch.zeros(1, 1))


class NoPatch(GridSampler):
    def sample(self, signal, n, generator):
        queries = super().sample(signal, n, generator)
        return evolve(queries, patch=(3,))


class TwoColumns(GridRenderer):
    def observe(self, field, queries):
        return super().observe(field, queries).repeat(1, 1, 2)


class Loud(GridRenderer):
    """Renders are louder than what is observed."""

    def render(self, field, view=None):
        raster = super().render(field, view)
        return StoredGrid(values=1.5 * raster.array(), size=raster.size, extent=raster.extent)


def infinite_far_out(self, values, targets):
    return spectral.relative_loss(values, targets) + (values - targets).abs().mean(dim=-1).exp().where(
        values[..., 0].abs() > 50, 0.0
    )


def nan_metric(fields, signal, renderer):
    return psnr_db(fields, signal, renderer) * float("nan")


def rising_for_equal(options):
    class Backwards(nn.Module):
        def forward(self, values, targets):
            return -(values - targets).square().mean()

    return Backwards()


def random_features(self, fields):
    return AudioParts.field_features(self, fields) + torch.rand(1)


def equal_features(self, signal):
    return torch.ones(len(signal.values), 72)


def failing_evaluation(model, split, count, seed):
    return [Figure("depth", model.sample(count, seed=seed).depth, {})]


def tensor_for_number(model, split, count, seed):
    return [Figure("depth", torch.ones(1), {})]


def twice_the_name(model, split, count, seed):
    return [Figure("depth", 1.0, {}), Figure("depth", 2.0, {})]


def labels_twice(self):
    return tuple(("sound", view) for _, view in AudioParts.report_views(self))


def huge(self, artefact):
    return Image.new("L", (5000, 10))


def wobbling(self, artefact):
    return [Image.new("L", (8, 8)), Image.new("L", (9, 8))]


def other_extent(self, signal, index):
    return evolve(AudioParts.ground_truth(self, signal, index), extent=(99.0,))


def write_elsewhere(artefact, path):
    export.write_wav(artefact, path.with_suffix(".wave"))


def write_nothing(artefact, path):
    path.touch()


def write_silence(artefact, path):
    noise = np.random.default_rng(0).uniform(-1, 1, artefact.array().shape).astype(np.float32)
    export.write_wav(StoredGrid(values=noise, size=artefact.size, extent=artefact.extent), path)


def black(self, artefact):
    return Image.new("L", (8, 8))


def write_the_same(artefact, path):
    export.write_wav(StoredGrid(values=np.zeros((64, 1)), size=(64,), extent=(1.0,)), path)


def read_the_first(self, path):
    folder.read(path, self.settings)
    return self.sources()["notes"](None, self.settings).train.batch([0])


def read_two(self, path):
    signal = folder.read(path, self.settings)
    return evolve(signal, values=signal.values.repeat(2, 1, 1), finer=())


def read_without_name(self, path):
    try:
        return folder.read(path, self.settings)
    except DataError as error:
        raise DataError("not a sound") from error


class NamesTwice(Wrapped):
    def __init__(self, signals) -> None:
        super().__init__(signals)
        self.names = ["sound"] * len(signals)


class FewCaptions(Wrapped):
    def __init__(self, signals) -> None:
        super().__init__(signals)
        self.captions = (("a sound",),)


class FloatLabels(Wrapped):
    def __init__(self, signals) -> None:
        super().__init__(signals)
        self.labels = signals.labels.float()


class OtherOrder(Wrapped):
    def batch(self, indices, generator=None):
        return self.signals.batch(sorted(indices, key=lambda index: index % 3), generator)


class ByIdentity(AudioSettings):
    """Two settings with the same values differ."""

    __eq__ = object.__eq__
    __hash__ = object.__hash__


def no_split(location, settings):
    return [1, 2, 3]


names_twice, few_captions, float_labels = _wrapped(NamesTwice), _wrapped(FewCaptions), _wrapped(FloatLabels)
other_order = _wrapped(OtherOrder)


def _source(load):
    return {"sources": lambda self: {"notes": load}}


def _export(export, suffix=".wav"):
    return {"exporters": lambda self: {**AudioParts.exporters(self), suffix: export}}


def _evaluation(function):
    return {"evaluations": lambda self: {"depth": function}}


def table() -> list[tuple[str, dict[str, object], str]]:
    """The check that is meant, what breaks it, and words of its message."""
    return [
        ("pictures", {"picture": black}, "the pictures of different originals are equal"),
        ("exporters", _export(write_the_same), "writes equal files for different originals"),
        ("files_read_back", {"read": read_the_first}, "differs from the one that was written"),
        ("data_load", _source(no_split), "source 'notes' returned a list"),
        ("names_and_labels", _source(names_twice), "not one unique text per signal"),
        ("names_and_labels", _source(few_captions), "not one or more sentences per signal (captions 1"),
        ("names_and_labels", _source(float_labels), "not one integer per signal"),
        ("batches_repeat", _source(other_order), "differs between a single signal and a batch"),
        ("settings", {"settings_type": ByIdentity}, "with the same values differ"),
        ("encoder", encoded_by(MeanAlone), "the encoder returns a Planes"),
        ("encoder", encoded_by(OneVariance), "differ in shape"),
        ("encoder_sees_signals", encoded_by(Restless), "repeated encoding of a signal gives different latents"),
        ("decoder", decoded_by(OneScaleMore), "the number of scales differs from the decoder's `channels`"),
        ("decoder", decoded_by(Double), "dtype torch.float64"),
        ("signals_are_coded_alone", decoded_by(DecoderOverTheBatch), "the basis fields of a signal depend on"),
        ("queries", sampled_by(Outside), "coordinates are outside [-1, 1]"),
        ("queries", sampled_by(Everything), "differs too much from the requested number (requested 1, drawn"),
        ("queries", sampled_by(UnknownTargets), "queries have values that are not finite"),
        ("queries", sampled_by(NegativeWeights), "weights of points are negative"),
        ("queries", sampled_by(NothingKnown), "all points of a signal have weight 0"),
        ("patches", sampled_by(NoPatch), "the number of cells of a patch is not the number of points"),
        ("observe", rendered_by(TwoColumns), "the values of observe do not match the targets"),
        ("observe_agrees_with_render", rendered_by(Loud), "a render differs from the values of observe"),
        ("loss", {"loss": infinite_far_out}, "not one finite error per point"),
        ("perceptual", {"perceptual": lambda self: {"own": rising_for_equal}}, "is not minimal for equal patches"),
        ("metrics", {"metrics": lambda self: {"own_db": nan_metric}}, "not one finite number per signal"),
        ("describe", {"field_features": random_features}, "features are not reproducible"),
        ("describe", {"signal_features": equal_features}, "different signals have equal features"),
        ("evaluations", _evaluation(failing_evaluation), "'Field' object has no attribute 'depth'"),
        ("evaluations", _evaluation(tensor_for_number), "does not return figures with numbers"),
        ("evaluations", _evaluation(twice_the_name), "figures of evaluations have the same name: depth"),
        ("views", {"report_views": labels_twice}, "labels of views are missing, or repeat"),
        ("pictures", {"picture": huge}, "is too large, empty, or changes in size (sizes ((5000, 10))"),
        ("pictures", {"picture": wobbling}, "changes in size"),
        ("original", {"ground_truth": other_extent}, "another extent than a render"),
        ("exporters", _export(write_elsewhere), "does not write exactly the given path"),
        ("exporters", _export(write_nothing), "writes an empty file"),
        ("files_read_back", _export(write_silence, ".wave"), "read from a .wave file differs"),
        ("files_read_back", {"read": read_two}, "read does not return one signal"),
        ("bad_files", {"read": read_without_name}, "raises a DataError without the file's name: not a sound"),
    ]
