"""The parts, as they were written for API version 1: ready ones, an encoder and a condition of its own."""

import numpy as np
import torch
from attrs import frozen
from PIL import Image

from ddmi_core.api import Condition, Encoder
from ddmi_core.parts import GridEncoder, GridSet, GridSignal, cell_centres


@frozen
class Settings:
    size: int = 16

    @property
    def native(self):
        return (self.size,)


class Louder(Encoder):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, signal):
        return self.inner(GridSignal(2 * signal.values))


def encoder(domain, config, settings):
    grid = lambda signal: signal.levels()[0]  # noqa: E731
    return Louder(GridEncoder(grid, 1, domain.layout, config.latent_channels, config.encoder))


def tones(location, settings):
    t = cell_centres(settings.size)
    values = torch.stack([torch.sin((2 + n / 4) * t) * torch.exp(-t.abs()) for n in range(12)]).unsqueeze(1)
    return GridSet([values.numpy()], [f"tone {n}" for n in range(12)]).split(0.25)


class Pitch(Condition):
    length = 1

    def of(self, signals):
        return torch.tensor([[float(name.split()[1]) / 12] for name in signals.names])

    def parse(self, text):
        return torch.tensor([float(text)])

    def examples(self):
        return ("0.5",)


def pitch(domain, settings):
    return Pitch()


def read(path, settings):
    return GridSignal(torch.from_numpy(np.load(path)).movedim(-1, 0)[None])


def write(artefact, path):
    with path.open("wb") as file:
        np.save(file, artefact.array())


def picture(artefact):
    values = artefact.array()[:, 0]
    return Image.fromarray(np.repeat(((values.clip(-1, 1) + 1) * 127).astype(np.uint8)[None], 8, axis=0))
