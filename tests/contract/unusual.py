"""Healthy plugins that are unusual: each uses a freedom that the interface gives, and keeps the contract."""

from __future__ import annotations

import hashlib
import time
from functools import cached_property
from math import pi
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from attrs import evolve, field, frozen
from PIL import Image
from torch import Tensor, nn

from ddmi_core.api import (
    BasisFieldDecoder,
    CoordinateSampler,
    Domain,
    Layout,
    Planes,
    Queries,
    Renderer,
    SignalSet,
    Split,
)
from ddmi_core.errors import DataError, RequestError
from ddmi_core.fields.coordinates import lattice_points
from ddmi_core.fields.layout import Embedding
from ddmi_core.parts import (
    DomainParts,
    GridDomain,
    GridRenderer,
    GridSampler,
    GridSet,
    GridSignal,
    PointEncoder,
    StoredGrid,
    bernoulli_loss,
    cell_centres,
)

QUICK = """
[autoencoder]
points = 64
encoder.widths = [8, 8]
decoder.widths = [8, 8]
decoder.basis = [4, 4]
readout.width = 16
[diffusion]
denoiser.width = 16
denoiser.blocks = 1
"""


@frozen
class Settings:
    """How many signals there are."""

    count: int = field(default=10)


class Set(SignalSet):
    """Signals in memory, in any form that has `__getitem__` by a list of rows."""

    def __init__(self, rows, numbers) -> None:
        self.rows, self.numbers = rows, list(numbers)
        self.names = [f"signal {number}" for number in self.numbers]
        self.classes, self.labels = (), torch.zeros(len(self.names), dtype=torch.long)

    def batch(self, indices, generator=None):
        return self.rows([self.numbers[index] for index in indices])

    def fingerprint(self) -> str:
        return hashlib.sha256(repr((self.names, self.rows([0]))).encode()).hexdigest()


def split_of(rows, count: int) -> Split:
    return Split(Set(rows, range(2, count)), Set(rows, range(2)))


def waves(places: Tensor, numbers, channels: int = 1) -> Tensor:
    """Values `(B, channels, N)` of waves that are periodic on [-1, 1], at places `(N, D)`, for each number."""
    found = []
    for number in numbers:
        draw = torch.Generator().manual_seed(number)
        frequency = torch.randint(1, 3, (channels, places.shape[1]), generator=draw).float()
        phase = 6 * torch.rand(channels, 1, generator=draw)
        found.append(torch.sin(pi * frequency @ places.T + phase))
    return torch.stack(found)


def write_array(artefact, path: Path) -> None:
    with path.open("wb") as stream:
        np.save(stream, artefact.array())


def read_array(path: Path) -> np.ndarray:
    try:
        return np.load(path)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path}: not an array: {error}") from error


def drawn(values: np.ndarray) -> Image.Image:
    values = values.reshape(-1, values.shape[-1])[:4096, :1]
    return Image.fromarray(((values.clip(-1, 1) + 1) * 127.5).astype(np.uint8))


class Grids(GridDomain[Settings]):
    """Waves on a grid of `cells`."""

    cells: ClassVar[tuple[int, ...]] = (16,)

    @classmethod
    def presets(cls):
        return {"quick": QUICK}

    @property
    def native(self) -> tuple[int, ...]:
        return self.cells

    def axes(self) -> list[Tensor]:
        """Coordinates of the cells, x first."""
        return [cell_centres(length) for length in reversed(self.cells)]

    def grids(self, numbers) -> Tensor:
        values = waves(lattice_points(self.axes()), numbers, len(self.channels()))
        return values.reshape(len(numbers), -1, *self.cells)

    def sources(self):
        return {"waves": lambda location, settings: split_of(lambda rows: GridSignal(self.grids(rows)), settings.count)}

    def read(self, path: Path) -> GridSignal:
        return GridSignal(torch.from_numpy(read_array(path)).float().movedim(-1, 0)[None])

    def exporters(self):
        return {".npy": write_array}

    def picture(self, artefact):
        return drawn(artefact.array())


def domain(name: str, layout: Layout, implementation, values=("height",)) -> Domain:
    return Domain(
        api_version=1,
        name=name,
        summary=f"Waves over {', '.join(layout.axes)}",
        layout=layout,
        values=values,
        implementation=implementation,
    )


def on_grid(name: str, layout: Layout, cells, base=Grids, values=("height",), **members) -> Domain:
    return domain(name, layout, type(name.title(), (base,), {"cells": cells, **members}), values)


LINE = Layout(axes=("t",), planes=(("t",),))
FOOTPRINT = Layout(axes=("t",), planes=(("t",),), extra=("footprint",))
PLANE = Layout(axes=("x", "y"), planes=(("x", "y"),))


# Other lattices


class CornerSampler(CoordinateSampler):
    """Draws points of a lattice whose first and last points are at the borders."""

    def sample(self, signal, n, generator):
        batch, _, length = signal.values.shape
        index = torch.randint(length, (batch, n), generator=generator).to(signal.values.device)
        coords = torch.linspace(-1, 1, length, device=index.device)[index][..., None]
        targets = signal.values.gather(2, index[:, None]).transpose(1, 2)
        return Queries(coords=coords, extra=coords[..., :0], targets=targets)


class CornerRenderer(GridRenderer):
    """Shows the same lattice at any size."""

    def render(self, field, view=None):
        size = super().render(field, view).size
        coords = torch.linspace(-1, 1, size[0], device=field.device)[None, :, None]
        with torch.inference_mode():
            values = field(coords)[0].clamp(*self.limits).cpu().numpy()
        return StoredGrid(values=values, size=size, extent=self.extent)


class Corners(Grids):
    """A domain whose cells include both borders."""

    sampler = cached_property(lambda self: CornerSampler())
    renderer = cached_property(lambda self: CornerRenderer(self.domain.layout, self.native))

    def axes(self):
        return [torch.linspace(-1, 1, length) for length in reversed(self.cells)]


# Artefacts


@frozen(eq=False)
class Recording:
    """An original as it was recorded: of another type than renders."""

    samples: Tensor  # (n, V)

    def array(self) -> np.ndarray:
        return self.samples.numpy()


class Embedded(Grids):
    """Cells of an embedded layout as points."""

    def encoder(self, config):
        layout = self.domain.layout
        places = layout.in_planes(lattice_points(self.axes()))
        return PointEncoder(
            lambda signal: places.to(signal.values.device).expand(len(signal.values), -1, -1),
            lambda signal: signal.values.flatten(2).transpose(1, 2),
            1,
            layout,
            8,
            config.latent_channels,
            config.encoder,
        )


class Recorded(Grids):
    """Originals are recordings, renders are grids."""

    def ground_truth(self, signal, index):
        return Recording(signal.values[index].movedim(0, -1).cpu())


class SpectrogramRenderer(Renderer):
    """Shows signals over time as grids over time and frequency."""

    def observe(self, field, queries):
        return field(queries.coords, queries.extra)

    def render(self, field, view=None):
        length = 16 if view is None else view
        with torch.inference_mode():
            values = field(cell_centres(length, field.device)[None, :, None])[0, :, 0].cpu()
        return spectrogram(values)


def spectrogram(values: Tensor) -> StoredGrid:
    """Magnitudes of 8 windows."""
    magnitudes = torch.fft.rfft(values.unfold(0, len(values) // 4, max(1, len(values) // 8)), dim=1).abs()
    return StoredGrid(values=magnitudes.numpy()[..., None].copy(), size=tuple(magnitudes.shape), extent=(2.0, 1.0))


class Spectrograms(Grids):
    """Artefacts have two axes, the layout has one."""

    renderer = cached_property(lambda self: SpectrogramRenderer())

    def ground_truth(self, signal, index):
        return spectrogram(signal.values[index, 0].cpu())

    def report_views(self):
        return (("short", 16), ("long", 32))

    def parse_view(self, text):
        if not text.isdigit():
            raise RequestError(f"size {text!r}: give the number of samples, such as 32")
        return int(text)

    def metrics(self):
        return {}

    def read(self, path):
        raise DataError(f"{path}: a spectrogram cannot be read back")

    def field_features(self, fields):
        values = fields(cell_centres(16, fields.device)[None, :, None].expand(len(fields), -1, -1))
        return values[..., 0].cpu()

    def signal_features(self, signal):
        return signal.values[:, 0].cpu()


@frozen
class Zoom:
    """A view that is no size: a factor of the native size."""

    factor: int


class ZoomRenderer(GridRenderer):
    """Takes zooms as views."""

    def render(self, field, view=None):
        factor = 1 if view is None else view.factor
        return super().render(field, tuple(length * factor for length in self.native))


class Zoomed(Grids):
    """Views are of a class of its own."""

    renderer = cached_property(lambda self: ZoomRenderer(self.domain.layout, self.native))

    def report_views(self):
        return (("1 x", Zoom(1)), ("2 x", Zoom(2)))

    def parse_view(self, text):
        if not text.endswith("x"):
            raise RequestError(f"size {text!r}: give a factor, such as 2x")
        return Zoom(int(text[:-1]))


# Values and networks


class LogitRenderer(GridRenderer):
    """Observes logits, shows probabilities."""

    def render(self, field, view=None):
        raster = evolve(super().render(field, view), limits=(-30.0, 30.0))
        return StoredGrid(values=1 / (1 + np.exp(-raster.array())), size=raster.size, extent=raster.extent)


class Labels(Grids):
    """Values are labels 0 and 1, fields give logits."""

    renderer = cached_property(lambda self: LogitRenderer(self.domain.layout, self.native, limits=(0.0, 1.0)))

    def grids(self, numbers):
        return (super().grids(numbers) > 0).float()

    def loss(self, values, targets):
        return bernoulli_loss(values, targets)

    def likelihood(self):
        return "bernoulli"


class TinyDecoder(BasisFieldDecoder):
    """One convolution and two scales."""

    def __init__(self, latent: int) -> None:
        super().__init__()
        self.channels = (4, 4)
        self.first, self.second = nn.Conv1d(latent, 4, 3, padding=1), nn.Conv1d(4, 4, 3, padding=1)

    def forward(self, latent):
        coarse = torch.tanh(self.first(latent[0]))
        fine = self.second(coarse.repeat_interleave(2, dim=-1))
        return Planes([coarse]), Planes([fine])


class OwnDecoder(Grids):
    """A decoder of its own."""

    def decoder(self, config):
        return TinyDecoder(config.latent_channels)


class Bare(Grids):
    """Neither metrics nor perceptual terms nor conditions."""

    def metrics(self):
        return {}

    def perceptual(self):
        return {}

    def conditions(self):
        return {}


class Scattered(Grids):
    """Independent points in place of patches."""

    sampler = cached_property(lambda self: GridSampler(self.domain.layout, scattered=True))

    def perceptual(self):
        return {}


class Bytes(Grids):
    """Signals are stored as bytes, with a finer level."""

    def sources(self):
        def load(location, settings):
            levels = []
            for factor in (1, 2):
                places = lattice_points([cell_centres(factor * length) for length in reversed(self.cells)])
                grids = waves(places, range(settings.count)).reshape(-1, 1, *(factor * n for n in self.cells))
                levels.append(((grids + 1) * 127.5).round().byte().numpy())
            return GridSet(levels, [f"wave {number}" for number in range(settings.count)]).split(0.3)

        return {"waves": load}


class Few(Grids):
    """Two signals for training, and one held out."""

    def sources(self):
        rows = lambda numbers: GridSignal(self.grids(numbers))  # noqa: E731
        return {"waves": lambda location, settings: Split(Set(rows, [1, 2]), Set(rows, [0]))}


class Repeated(Grids):
    """The first three training signals are equal and constant."""

    def sources(self):
        def rows(numbers):
            grids = self.grids([max(number, 4) if number > 1 else number for number in numbers])
            grids[[index for index, number in enumerate(numbers) if 2 <= number <= 4]] = 0.5
            return GridSignal(grids)

        return {"waves": lambda location, settings: split_of(rows, settings.count)}


class Twofold(Grids):
    """Writes two types of files, of which `read` takes the second."""

    def exporters(self):
        return {".txt": write_text, ".npy": write_array}

    def read(self, path):
        if path.suffix == ".txt":
            raise DataError(f"{path}: give the .npy file")
        return super().read(path)


def write_text(artefact, path: Path) -> None:
    with path.open("w") as stream:
        np.savetxt(stream, artefact.array().reshape(-1, 1))


class Metres(Grids):
    """Values from 0 to 100."""

    renderer = cached_property(lambda self: GridRenderer(self.domain.layout, self.native, limits=(0.0, 100.0)))

    def grids(self, numbers):
        return 50 + 40 * super().grids(numbers)

    def picture(self, artefact):
        return drawn(artefact.array() / 50 - 1)

    def loss(self, values, targets):
        return (values - targets).abs().mean(dim=-1) / 50

    def metrics(self):
        return {"error": lambda fields, signal, renderer: _error(renderer.native_values(fields), signal.values.cpu())}

    def perceptual(self):
        return {}


def _error(ours: Tensor, theirs: Tensor) -> Tensor:
    return (ours - theirs).abs().flatten(1).mean(dim=1)


# Points


@frozen(eq=False)
class Cloud:
    """Measurements at irregular places; rows may be padded."""

    places: Tensor  # (B, M, D)
    values: Tensor  # (B, M, 1)
    real: Tensor  # (B, M)


@frozen(eq=False)
class Values:
    """An artefact that is no grid."""

    places: Tensor
    values: Tensor


class CloudSampler(CoordinateSampler):
    """Draws measurements; padding has weight 0."""

    def sample(self, signal, n, generator):
        index = torch.randint(signal.places.shape[1], (len(signal.places), n), generator=generator)
        index = index.to(signal.places.device)
        coords = signal.places.gather(1, index[..., None].expand(-1, -1, signal.places.shape[2]))
        targets = signal.values.gather(1, index[..., None])
        weights = signal.real.gather(1, index).float()
        return Queries(coords=coords, extra=coords[..., :0], targets=targets, weights=weights)


class CloudRenderer(Renderer):
    """Values at fixed places."""

    def observe(self, field, queries):
        return field(queries.coords, queries.extra)

    def render(self, field, view=None):
        places = lattice_points([cell_centres(view or 4, field.device)] * len(field.layout.axes))
        with torch.no_grad():
            return Values(places.cpu(), field(places[None])[0].cpu())


class Clouds(DomainParts[Settings, Cloud, int, Values]):
    """Points in two axes."""

    ragged: ClassVar[bool] = False

    @classmethod
    def presets(cls):
        return {"quick": QUICK}

    def rows(self, numbers) -> Cloud:
        most, axes, clouds = 40, len(self.domain.layout.axes), []
        for number in numbers:
            draw = torch.Generator().manual_seed(number)
            places = 2 * torch.rand(most, axes, generator=draw) - 1
            real = torch.arange(most) < (most - 3 * (number % 5) if self.ragged else most)
            values = waves(places, [number])[0].T
            clouds.append((places.where(real[:, None], 0), values.where(real[:, None], 0), real))
        return Cloud(*map(torch.stack, zip(*clouds, strict=True)))

    def sources(self):
        return {"waves": lambda location, settings: split_of(self.rows, settings.count)}

    def read(self, path):
        table = torch.from_numpy(read_array(path)).float()
        return Cloud(table[None, :, :-1], table[None, :, -1:], torch.ones(1, len(table), dtype=torch.bool))

    def encoder(self, config):
        return PointEncoder(
            lambda cloud: cloud.places,
            lambda cloud: cloud.values,
            1,
            self.domain.layout,
            8,
            config.latent_channels,
            config.encoder,
            mask=(lambda cloud: cloud.real) if self.ragged else None,
        )

    sampler = cached_property(lambda self: CloudSampler())
    renderer = cached_property(lambda self: CloudRenderer())

    def field_features(self, fields):
        return torch.stack([self.renderer.render(field).values.flatten() for field in fields])

    def signal_features(self, signal):
        # The mean of the measurements in each cell.
        places, width = signal.places.cpu(), 4
        cell = ((places + 1) / 2 * width).long().clamp(0, width - 1)
        index = sum(cell[..., column] * width**column for column in range(places.shape[2]))
        sums = torch.zeros(len(places), width ** places.shape[2])
        return sums.scatter_add(1, index, signal.values.cpu()[..., 0] * signal.real.cpu())

    def exporters(self):
        return {".npy": write_cloud}

    def picture(self, artefact):
        return drawn(artefact.values.numpy())

    def ground_truth(self, signal, index):
        real = signal.real[index].cpu()
        return Values(signal.places[index].cpu()[real], signal.values[index].cpu()[real])

    def report_views(self):
        return (("coarse", 4), ("fine", 8))


def write_cloud(artefact, path: Path) -> None:
    with path.open("wb") as stream:
        np.save(stream, torch.cat([artefact.places, artefact.values], dim=1).numpy())


# Implementations for a fresh process


class Ready(Grids):
    """Can be named by a reference."""


SPHERE = Layout(
    axes=("lon", "lat"),
    planes=(("x", "y"), ("y", "z"), ("x", "z")),
    periodic=("lon",),
    embedding=Embedding(axes=("x", "y", "z"), function="ddmi_core.fields.embeddings:sphere"),
)
MOVING = Layout(axes=("x", "y", "z", "t"), planes=(("x", "y"), ("y", "z"), ("x", "z"), ("t",)))

UNUSUAL = {
    "a periodic axis": on_grid("ring", Layout(axes=("a",), planes=(("a",),), periodic=("a",)), (16,)),
    "a periodic axis of two": on_grid(
        "map", Layout(axes=("lon", "lat"), planes=(("lon", "lat"),), periodic=("lon",)), (6, 12)
    ),
    "all axes periodic": on_grid("torus", Layout(axes=("x", "y"), planes=(("x", "y"),), periodic=("x", "y")), (8, 8)),
    "embedded coordinates": on_grid("globe", SPHERE, (6, 12), Embedded),
    "four axes": on_grid("moving", MOVING, (4, 4, 4, 4)),
    "three lines in place of planes": on_grid("lines", Layout(axes=("x", "y"), planes=(("x",), ("y",))), (8, 8)),
    "a grid that is not square": on_grid("wide", PLANE, (4, 16)),
    "one axis, an odd number of cells": on_grid("odd", LINE, (15,)),
    "five channels": on_grid("bands", PLANE, (8, 8), values=("a", "b", "c", "d", "e")),
    "a footprint and a finer level": on_grid("fine", FOOTPRINT, (16,), Bytes),
    "bytes": on_grid("bytes", PLANE, (8, 8), Bytes),
    "points that are scattered": on_grid("loose", PLANE, (8, 8), Scattered),
    "another lattice": on_grid("corners", LINE, (16,), Corners),
    "originals of another type": on_grid("recorded", LINE, (16,), Recorded),
    "artefacts of other axes": on_grid("spectrograms", LINE, (16,), Spectrograms),
    "views of a class of its own": on_grid("zoomed", PLANE, (8, 8), Zoomed),
    "labels and logits": on_grid("labels", PLANE, (8, 8), Labels),
    "its own decoder": on_grid("owndecoder", LINE, (16,), OwnDecoder),
    "no metrics and no conditions": on_grid("bare", LINE, (16,), Bare),
    "three signals": on_grid("few", LINE, (16,), Few),
    "signals that repeat": on_grid("repeated", LINE, (16,), Repeated),
    "two types of files": on_grid("twofold", LINE, (16,), Twofold),
    "values in other units": on_grid("metres", LINE, (16,), Metres),
    "points": domain("points", PLANE, type("Points", (Clouds,), {})),
    "ragged points with a mask": domain("ragged", PLANE, type("Ragged", (Clouds,), {"ragged": True})),
}


def busy(seconds: float) -> None:
    """Use the processor, as an import does."""
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass
