"""The implementation, as it was written for API version 1: ready ones, an encoder and a condition of its own."""

import numpy as np
import torch
from attrs import frozen
from PIL import Image

from ddmi_core.api import Condition, Encoder
from ddmi_core.parts import GridDomain, GridEncoder, GridSet, GridSignal, cell_centres


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


class Tones(GridDomain[Settings]):
    def sources(self):
        return {"tones": tones}

    def encoder(self, config):
        grid = lambda signal: signal.levels()[0]  # noqa: E731
        return Louder(GridEncoder(grid, 1, self.domain.layout, config.latent_channels, config.encoder))

    def conditions(self):
        return {"pitch": Pitch}

    def read(self, path):
        return GridSignal(torch.from_numpy(np.load(path)).movedim(-1, 0)[None])

    def exporters(self):
        return {".npy": write}

    def picture(self, artefact):
        values = artefact.array()[:, 0]
        return Image.fromarray(np.repeat(((values.clip(-1, 1) + 1) * 127).astype(np.uint8)[None], 8, axis=0))


def write(artefact, path):
    with path.open("wb") as file:
        np.save(file, artefact.array())
