"""Parts that change their inputs, mix devices, or come with values that a model cannot learn."""

from __future__ import annotations

import torch
from attrs import evolve
from broken import Wrapped, _Decoder, _Encoder, _wrapped, decoded_by, encoded_by, rendered_by, sampled_by
from ddmi_audio import export, spectral
from ddmi_audio.parts import AudioParts
from torch import nn

from ddmi_core.parts import GridRenderer, GridSampler, GridSignal, cell_centres, psnr_db

# Inputs changed in place


class EncoderInPlace(_Encoder):
    def forward(self, signal):
        signal.values.sub_(signal.values.mean())
        return self.inner(signal)


class DecoderInPlace(_Decoder):
    def forward(self, latent):
        latent[0].clamp_(-0.1, 0.1)
        return super().forward(latent)


class SamplerInPlace(GridSampler):
    def sample(self, signal, n, generator):
        signal.values.mul_(0.5)
        return super().sample(signal, n, generator)


class PlacesInPlace(GridSampler):
    def places(self, signal, most, generator):
        signal.values.mul_(0.5)
        return super().places(signal, most, generator)


class ObserveQueriesInPlace(GridRenderer):
    def observe(self, field, queries):
        queries.coords.mul_(0.99)
        return super().observe(field, queries)


class ObserveFieldInPlace(GridRenderer):
    def observe(self, field, queries):
        with torch.no_grad():
            field.basis[0][0].mul_(0.5)
        return super().observe(field, queries)


class RenderInPlace(GridRenderer):
    def render(self, field, view=None):
        field.basis[0][0].mul_(0.5)
        return super().render(field, view)


def loss_in_place(self, values, targets):
    targets.clamp_(-0.01, 0.01)
    return (values - targets).abs().mean(dim=-1)


def metric_in_place(fields, signal, renderer):
    signal.values.mul_(0.5)
    return psnr_db(fields, signal, renderer)


def features_in_place(self, signal):
    signal.values.abs_()
    return AudioParts.signal_features(self, signal)


def field_features_in_place(self, fields):
    found = AudioParts.field_features(self, fields)
    fields.basis[0][0].zero_()
    return found


def original_in_place(self, signal, index):
    signal.values[index] /= 2
    return AudioParts.ground_truth(self, signal, index)


def picture_in_place(self, artefact):
    drawn = export.picture(artefact)
    if hasattr(artefact, "values"):
        artefact.values[:] = 0
    return drawn


def write_in_place(artefact, path):
    export.write_wav(artefact, path)
    if hasattr(artefact, "values"):
        artefact.values[:] *= -1


# Devices


class EncoderOnTheCpu(_Encoder):
    def forward(self, signal):
        window = torch.linspace(0.9, 1, signal.values.shape[-1])
        return self.inner(GridSignal(signal.values * window, signal.finer))


class SamplerOnTheCpu(GridSampler):
    def sample(self, signal, n, generator):
        queries = super().sample(signal, n, generator)
        return evolve(queries, targets=queries.targets.cpu())


class SamplerWithItsOwnIndices(GridSampler):
    def sample(self, signal, n, generator):
        queries = super().sample(signal, n, generator)
        near = torch.ones(len(queries.coords), queries.coords.shape[1])
        return evolve(queries, weights=near * (queries.coords[..., 0] <= 1))


class ObserveOnTheCpu(GridRenderer):
    def observe(self, field, queries):
        return super().observe(field, queries) + torch.zeros(1, 1, 1)


class ObserveMovedBack(GridRenderer):
    def observe(self, field, queries):
        return super().observe(field, queries).cpu()


def loss_on_the_cpu(self, values, targets):
    weights = torch.ones(values.shape[-1])
    return ((values - targets).abs() * weights).mean(dim=-1) + 0 * spectral.relative_loss(values, targets)


def metric_on_two_devices(fields, signal, renderer):
    error = renderer.native_values(fields) - signal.values
    return -10 * error.square().flatten(1).mean(dim=1).log10()


def metric_at_points(fields, signal, renderer):
    places = cell_centres(signal.values.shape[-1])[None, :, None].expand(len(fields), -1, -1)
    return (fields(places)[..., 0] - signal.values[:, 0] * torch.ones(signal.values.shape[-1])).abs().mean(dim=1)


def features_by_numpy(self, signal):
    return torch.from_numpy(signal.values.numpy()).flatten(1)[:, :72]


# Values


class NanInOne(Wrapped):
    """One signal is damaged, which the first batches do not show."""

    damaged = 17

    def batch(self, indices, generator=None):
        signal = self.signals.batch(indices, generator)
        if self.damaged in list(indices):
            signal.values[list(indices).index(self.damaged), 0, 5] = float("nan")
        return signal


class TooLoud(Wrapped):
    def batch(self, indices, generator=None):
        signal = self.signals.batch(indices, generator)
        return GridSignal(4 * signal.values, tuple(4 * level.float() / 32767 for level in signal.finer))


class ClickInOne(Wrapped):
    """One held-out value is far outside, as an error of conversion leaves it."""

    def batch(self, indices, generator=None):
        signal = self.signals.batch(indices, generator)
        if 0 in list(indices):
            signal.values[list(indices).index(0), 0, 7] = -32768.0
        return signal


nan_in_one = _wrapped(NanInOne)
too_loud = _wrapped(TooLoud)
click_in_one = _wrapped(ClickInOne)


# Training that does nothing


class Overwritten(_Encoder):
    """A weight is set in each forward pass, so that steps have no effect on it."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__(inner)
        self.gain = nn.Parameter(torch.ones(1))

    def forward(self, signal):
        self.gain.data.fill_(1.0)
        return self.inner(GridSignal(signal.values * self.gain, signal.finer))


class Hidden(_Encoder):
    """Its network is in a plain list, and so has no weights that training sees."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__(nn.Identity())
        self.networks = [inner]

    def forward(self, signal):
        return self.networks[0].to(signal.values.device)(signal)


class Frozen(_Decoder):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__(inner)
        self.requires_grad_(False)


class WithoutGradient(_Encoder):
    def forward(self, signal):
        with torch.no_grad():
            return self.inner(signal)


def constant_loss(self, values, targets):
    return spectral.relative_loss(targets, targets) + 0 * values.sum(dim=-1)


def metric(function):
    """Members of an implementation with this metric."""
    return {"metrics": lambda self: {**AudioParts.metrics(self), "own_db": function}}


def table() -> list[tuple[str, dict[str, object], str]]:
    """The check that is meant, what breaks it, and words of its message."""
    inputs, devices, where = "inputs_are_left", "devices", "changes its input in place"
    return [
        (inputs, encoded_by(EncoderInPlace), f"the encoder {where}: values differs in"),
        (inputs, decoded_by(DecoderInPlace), f"the decoder {where}: [0] differs in"),
        (inputs, sampled_by(SamplerInPlace), f"the sampler {where}: values differs in"),
        (inputs, sampled_by(PlacesInPlace), f"places() of the sampler {where}: values differs in"),
        (inputs, rendered_by(ObserveQueriesInPlace), f"observe {where}: coords differs in"),
        (inputs, rendered_by(ObserveFieldInPlace), f"observe {where}: basis[0][0] differs in"),
        (inputs, rendered_by(RenderInPlace), f"render {where}: basis[0][0] differs in"),
        (inputs, {"loss": loss_in_place}, f"the loss {where}"),
        (inputs, metric(metric_in_place), f"the metric 'own_db' {where}: values differs in"),
        (inputs, {"signal_features": features_in_place}, f"signal_features {where}"),
        (inputs, {"field_features": field_features_in_place}, f"field_features {where}: basis[0][0]"),
        (inputs, {"ground_truth": original_in_place}, f"ground_truth {where}: values differs in"),
        (inputs, {"picture": picture_in_place}, f"picture {where}: values differs in"),
        (inputs, {"exporters": lambda self: {".wav": write_in_place}}, f"the exporter '.wav' {where}"),
        (devices, encoded_by(EncoderOnTheCpu), "the encoder mixes devices: mul of tensors on two devices"),
        (devices, sampled_by(SamplerOnTheCpu), "the sampler returns targets on another device"),
        (devices, sampled_by(SamplerWithItsOwnIndices), "the sampler mixes devices: mul"),
        (devices, rendered_by(ObserveOnTheCpu), "observe mixes devices: add"),
        (devices, rendered_by(ObserveMovedBack), "observe returns values on another device"),
        (devices, {"loss": loss_on_the_cpu}, "the loss mixes devices: mul"),
        (devices, metric(metric_on_two_devices), "the metric 'own_db' mixes devices: sub"),
        (devices, metric(metric_at_points), "the metric 'own_db' mixes devices: mul"),
        (devices, {"signal_features": features_by_numpy}, "numpy() of a tensor that is not on the CPU"),
        ("values", {"sources": lambda self: {"notes": nan_in_one}}, "values that are not finite (signal 17, of"),
        ("values", {"sources": lambda self: {"notes": too_loud}}, "outside of the domain's limits, -1 to 1"),
        ("values", {"sources": lambda self: {"notes": click_in_one}}, "lowest -3.277e+04"),
        ("training_changes_weights", encoded_by(Overwritten), "training does not change encoder.gain"),
        ("training_changes_weights", encoded_by(Hidden), "the encoder has no weights to train"),
        ("gradients_reach_weights", decoded_by(Frozen), "no gradient reaches decoder."),
        ("gradients_reach_weights", encoded_by(WithoutGradient), "no gradient reaches encoder."),
        ("autoencoder_learns", {"loss": constant_loss}, "does not decrease in 16 steps"),
    ]
