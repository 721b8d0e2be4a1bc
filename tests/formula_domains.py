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

from ddmi_core.api import Domain, Layout, SignalSet, Split
from ddmi_core.parts import GridEncoder, GridRenderer, GridSampler, PlaneDecoder, cell_centres


@frozen
class FormulaSettings:
    """Cells along each axis, and how many signals there are."""

    size: int = field(default=16)
    count: int = field(default=24)


@frozen(eq=False)
class Grid:
    """Values of formulas on a grid."""

    values: Tensor  # (B, 1, *grid)

    def levels(self) -> tuple[Tensor, ...]:
        return (self.values,)


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

    def batch(self, indices: Sequence[int], generator: torch.Generator | None = None) -> Grid:
        values = self.values[list(indices)]
        if generator is not None and torch.rand((), generator=generator) < 0.5:
            values = values.flip(-1)
        return Grid(values)

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


def values(signal: Grid) -> Tensor:
    return signal.values


def _parts(layout: Layout) -> dict[str, object]:
    axes = len(layout.axes)
    return {
        "encoder": lambda config, settings: GridEncoder(values, 1, layout, config.latent_channels, config.encoder),
        "decoder": lambda config, settings: PlaneDecoder(layout, config.latent_channels, config.decoder),
        "sampler": lambda settings: GridSampler(layout),
        "renderer": lambda settings: GridRenderer(layout, (settings.size,) * axes),
        "views": lambda settings: tuple((f"{n}", (n,) * axes) for n in (settings.size, 2 * settings.size)),
    }


WAVE_LAYOUT = Layout(axes=("t",), planes=(("t",),))
BLOCK_LAYOUT = Layout(axes=("x", "y", "z"), planes=(("x", "y"), ("y", "z"), ("x", "z")))
wave_encoder, wave_decoder, wave_sampler, wave_renderer, wave_views = _parts(WAVE_LAYOUT).values()
block_encoder, block_decoder, block_sampler, block_renderer, block_views = _parts(BLOCK_LAYOUT).values()


def error(fields, signal: Grid, renderer: GridRenderer) -> Tensor:
    """Mean squared error at the native size."""
    drawn = torch.stack([torch.from_numpy(renderer.render(f).array()) for f in fields])
    return (drawn.squeeze(-1) - signal.values.squeeze(1).cpu()).square().flatten(1).mean(dim=1)


def describe(fields, renderer: GridRenderer) -> Tensor:
    drawn = torch.stack([torch.from_numpy(renderer.render(f).array()) for f in fields])
    return _features(drawn.movedim(-1, 1))


def describe_signal(signal: Grid) -> Tensor:
    return _features(signal.values)


def _features(grids: Tensor) -> Tensor:
    rows = grids.flatten(1)
    return rows[:, :: max(1, rows.shape[1] // 8)][:, :8]


def read(path: Path, settings: FormulaSettings) -> Grid:
    return Grid(torch.from_numpy(np.load(path))[None, None].float())


def write(artefact, path: Path) -> None:
    with path.open("wb") as stream:
        np.save(stream, artefact.array())


def picture(artefact) -> Image.Image:
    return _drawn(artefact.array()[..., 0])


def signal_picture(signal: Grid, index: int) -> Image.Image:
    return _drawn(signal.values[index, 0].numpy())


def _drawn(grid: np.ndarray) -> Image.Image:
    if grid.ndim == 3:
        grid = grid[len(grid) // 2]
    rows = np.repeat(grid[None], 8, axis=0) if grid.ndim == 1 else grid
    return Image.fromarray(((rows.clip(-1, 1) + 1) * 127.5).astype(np.uint8))


def _domain(name: str, layout: Layout) -> Domain:
    def own(part: str) -> str:
        return f"formula_domains:{name}_{part}"

    return Domain(
        name=name,
        summary=f"Waves over {', '.join(layout.axes)}",
        layout=layout,
        values=("height",),
        settings="formula_domains:FormulaSettings",
        presets={"quick": "formula_presets:quick.toml"},
        sources={"formulas": own("source")},
        default_source="formulas",
        encoder=own("encoder"),
        decoder=own("decoder"),
        sampler=own("sampler"),
        renderer=own("renderer"),
        views=own("views"),
        metrics={"error": "formula_domains:error"},
        describe="formula_domains:describe",
        describe_signal="formula_domains:describe_signal",
        read="formula_domains:read",
        exporters={".npy": "formula_domains:write"},
        picture="formula_domains:picture",
        signal_picture="formula_domains:signal_picture",
    )


WAVE = _domain("wave", WAVE_LAYOUT)
BLOCK = _domain("block", BLOCK_LAYOUT)
