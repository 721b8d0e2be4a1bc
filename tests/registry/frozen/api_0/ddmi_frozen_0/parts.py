"""The parts, as they were written for API version 0: no builder is given the description."""

import hashlib

import numpy as np
import torch
from attrs import frozen
from PIL import Image

from ddmi_core.api import SignalSet, Split
from ddmi_core.parts import GridEncoder, GridRenderer, GridSampler, PlaneDecoder, cell_centres
from ddmi_frozen_0.plugin import FROZEN


@frozen
class Settings:
    size: int = 16


@frozen(eq=False)
class Tone:
    values: torch.Tensor  # (B, 1, T)

    def levels(self):
        return (self.values,)


class Tones(SignalSet):
    classes = ()

    def __init__(self, size, numbers):
        self.names = [f"tone {number}" for number in numbers]
        self.labels = torch.zeros(len(self.names), dtype=torch.long)
        t = cell_centres(size)
        self.values = torch.stack([torch.sin((2 + n / 4) * t) * torch.exp(-t.abs()) for n in numbers]).unsqueeze(1)

    def batch(self, indices, generator=None):
        return Tone(self.values[list(indices)])

    def fingerprint(self):
        return hashlib.sha256(self.values.numpy().tobytes()).hexdigest()


def tones(location, settings):
    return Split(Tones(settings.size, range(8)), Tones(settings.size, range(8, 11)))


def encoder(config, settings):
    return GridEncoder(lambda tone: tone.values, 1, FROZEN.layout, config.latent_channels, config.encoder)


def decoder(config, settings):
    return PlaneDecoder(FROZEN.layout, config.latent_channels, config.decoder)


def sampler(settings):
    return GridSampler(FROZEN.layout)


def renderer(settings):
    return GridRenderer(FROZEN.layout, (settings.size,))


def views(settings):
    return ((str(settings.size), (settings.size,)), (str(2 * settings.size), (2 * settings.size,)))


def drawn(fields, renderer):
    return torch.stack([torch.from_numpy(renderer.render(field).array()) for field in fields]).movedim(-1, 1)


def error(fields, tone, renderer):
    return (drawn(fields, renderer) - tone.values).square().flatten(1).mean(dim=1)


def describe(fields, renderer):
    return drawn(fields, renderer).flatten(1)[:, ::4]


def describe_signal(tone):
    return tone.values.flatten(1)[:, ::4]


def read(path, settings):
    return Tone(torch.from_numpy(np.load(path)).movedim(-1, 0)[None])


def write(artefact, path):
    with path.open("wb") as file:
        np.save(file, artefact.array())


def picture(artefact):
    return band(artefact.array()[:, 0])


def signal_picture(tone, index):
    return band(tone.values[index, 0].numpy())


def band(values):
    return Image.fromarray(np.repeat(((values.clip(-1, 1) + 1) * 127).astype(np.uint8)[None], 8, axis=0))
