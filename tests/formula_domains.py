"""Two tiny domains of formulas, with one axis and with three, so that no interface is shaped by pictures alone."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from attrs import field, frozen
from PIL import Image
from torch import Tensor

import formula_presets
from ddmi_core.api import Domain, Layout, SignalSet, Split, shared
from ddmi_core.errors import DataError
from ddmi_core.parts import GridDomain, GridRenderer, GridSignal, cell_centres


@frozen
class FormulaSettings:
    """Cells along each axis, and how many signals there are."""

    size: int = field(default=16)
    count: int = field(default=24)


@frozen
class WaveSettings(FormulaSettings):
    """Of the domain with one axis."""

    @property
    def native(self) -> tuple[int, ...]:
        return (self.size,)


@frozen
class BlockSettings(FormulaSettings):
    """Of the domain with three."""

    @property
    def native(self) -> tuple[int, ...]:
        return (self.size,) * 3


class Formulas(SignalSet):
    """Plane waves with a random direction and phase; the class says whether they are slow or fast."""

    def __init__(self, axes: int, size: int, numbers: Sequence[int]) -> None:
        self.names = [f"wave {number}" for number in numbers]
        self.classes = ("slow", "fast")
        self.labels = torch.tensor([number % 2 for number in numbers])
        mesh = torch.stack(torch.meshgrid(*[cell_centres(size)] * axes, indexing="ij"))
        waves = []
        for number in numbers:
            generator = torch.Generator().manual_seed(number)
            direction = torch.randn(axes, generator=generator)
            direction = direction / direction.norm() * (2 if number % 2 == 0 else 4)
            phase = 6 * torch.rand((), generator=generator)
            waves.append(torch.sin(torch.tensordot(direction, mesh, dims=1) + phase))
        self.values = torch.stack(waves).unsqueeze(1)

    def batch(self, indices: Sequence[int], generator: torch.Generator | None = None) -> GridSignal:
        values = self.values[list(indices)]
        if generator is not None:
            values = values.where(torch.rand((), generator=shared(generator)) >= 0.5, values.flip(-1))
        return GridSignal(values)

    def fingerprint(self) -> str:
        return hashlib.sha256(self.values.numpy().tobytes()).hexdigest()


def _split(axes: int, settings: FormulaSettings) -> Split:
    numbers = range(settings.count)
    return Split(
        Formulas(axes, settings.size, [n for n in numbers if n % 6]),
        Formulas(axes, settings.size, [n for n in numbers if n % 6 == 0]),
    )


def wave_source(location: Path | None, settings: FormulaSettings) -> Split:
    return _split(1, settings)


def block_source(location: Path | None, settings: FormulaSettings) -> Split:
    return _split(3, settings)


WAVE_LAYOUT = Layout(axes=("t",), planes=(("t",),))
BLOCK_LAYOUT = Layout(axes=("x", "y", "z"), planes=(("x", "y"), ("y", "z"), ("x", "z")))


def error(fields, signal: GridSignal, renderer: GridRenderer) -> Tensor:
    """Mean squared error at the native size."""
    return (renderer.native_values(fields) - signal.values.cpu()).square().flatten(1).mean(dim=1)


def features(grids: Tensor) -> Tensor:
    rows = grids.flatten(1)
    return rows[:, :: max(1, rows.shape[1] // 8)][:, :8]


def read(path: Path, settings: FormulaSettings) -> GridSignal:
    try:
        grid = torch.from_numpy(np.load(path)).float()
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path}: not a stored grid: {error}") from error
    grid = grid.squeeze(-1) if grid.ndim > len(settings.native) else grid
    return GridSignal(grid[None, None])


def write(artefact, path: Path) -> None:
    with path.open("wb") as stream:
        np.save(stream, artefact.array())


def picture(artefact) -> Image.Image:
    return _drawn(artefact.array()[..., 0])


def _drawn(grid: np.ndarray) -> Image.Image:
    if grid.ndim == 3:
        grid = grid[len(grid) // 2]
    rows = np.repeat(grid[None], 8, axis=0) if grid.ndim == 1 else grid
    return Image.fromarray(((rows.clip(-1, 1) + 1) * 127.5).astype(np.uint8))


class Waves(GridDomain[WaveSettings]):
    """Files of numpy, features of rows, and one metric."""

    def sources(self):
        return {"formulas": wave_source}

    @classmethod
    def presets(cls):
        return {"quick": Path(formula_presets.__file__).with_name("quick.toml")}

    def metrics(self):
        return {"error": error}

    def features(self, values: Tensor) -> Tensor:
        return features(values)

    def read(self, path: Path) -> GridSignal:
        return read(path, self.settings)

    def exporters(self):
        return {".npy": write}

    def picture(self, artefact) -> Image.Image:
        return picture(artefact)


class Blocks(Waves, GridDomain[BlockSettings]):
    """The same over three axes."""

    def sources(self):
        return {"formulas": block_source}


def _domain(name: str, layout: Layout, implementation: str) -> Domain:
    return Domain(
        api_version=1,
        name=name,
        summary=f"Waves over {', '.join(layout.axes)}",
        layout=layout,
        values=("height",),
        implementation=f"formula_domains:{implementation}",
    )


WAVE = _domain("wave", WAVE_LAYOUT, "Waves")
BLOCK = _domain("block", BLOCK_LAYOUT, "Blocks")
