"""A tiny domain whose measurements are no values at places: of cover and tone, shades along whole rows and columns."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import torch
from attrs import evolve, frozen
from PIL import Image
from torch import Tensor

from ddmi_core.api import CoordinateSampler, Domain, Field, Layout, Queries, Split
from ddmi_core.parts import GridDomain, GridRenderer, GridSet, GridSignal, cell_centres
from formula_domains import FormulaSettings, Waves, picture, read, write

LAYOUT = Layout(axes=("x", "y"), planes=(("x", "y"),))


@frozen
class Settings(FormulaSettings):
    @property
    def native(self) -> tuple[int, int]:
        return (self.size, self.size)


def grid(number: int, size: int) -> Tensor:
    """A blob of some tone: cover and tone `(2, size, size)`, both in [-1, 1]."""
    x, y, tilt, phase = (2 * torch.rand(4, generator=torch.Generator().manual_seed(number)) - 1).tolist()
    rows, columns = torch.meshgrid(cell_centres(size), cell_centres(size), indexing="ij")
    cover = 2 * torch.exp(-((columns - x / 2) ** 2 + (rows - y / 2) ** 2) / 0.3) - 1
    return torch.stack([cover, torch.sin(2 * tilt * columns + 3 * phase)])


def load(location: Path | None, settings: Settings) -> Split:
    grids = torch.stack([grid(number, settings.size) for number in range(settings.count)])
    return GridSet([grids.numpy()], [f"blob {number}" for number in range(settings.count)]).split(0.2)


def shades(values: Tensor) -> Tensor:
    """What lines show of cover and tone at their points: `(..., S, 2)` to `(..., 1)`."""
    cover, tone = values.unbind(dim=-1)
    return ((cover + 1) / 2 * tone).mean(dim=-1, keepdim=True)


@frozen(eq=False, kw_only=True)
class LineQueries(Queries):
    """Lines over the whole square, through `coords`."""

    turned: Tensor  # (B, N), 0 for rows and 1 for columns


class LineSampler(CoordinateSampler):
    labels = ("turned",)

    def sample(self, signal: GridSignal, n: int, generator: torch.Generator) -> LineQueries:
        every = self.places(signal, 10**6, generator)
        chosen = torch.randint(every.coords.shape[1], (n,), generator=generator)
        parts = {name: getattr(every, name)[:, chosen] for name in ("coords", "extra", "targets", "turned")}
        return evolve(every, **parts)

    def places(self, signal: GridSignal, most: int, generator: torch.Generator) -> LineQueries:
        values = signal.values.movedim(1, -1)
        batch, size = values.shape[:2]
        at, middle = cell_centres(size), torch.zeros(size)
        coords = torch.cat([torch.stack([middle, at], dim=1), torch.stack([at, middle], dim=1)])[:most]
        return LineQueries(
            coords=coords.expand(batch, -1, -1),
            extra=coords.new_zeros(batch, len(coords), 0),
            targets=torch.cat([shades(values), shades(values.transpose(1, 2))], dim=1)[:, :most],
            turned=torch.tensor([0.0] * size + [1.0] * size)[:most].expand(batch, -1),
        )


class LineRenderer(GridRenderer):
    @property
    def evaluations(self) -> int:
        return self.native[0]

    def observe(self, field: Field, queries: Queries) -> Tensor:
        if not isinstance(queries, LineQueries):
            return field(queries.coords, queries.extra)
        along = cell_centres(self.native[0]).to(queries.coords)
        turned = queries.turned[..., None] > 0
        x, y = (queries.coords[..., axis, None].expand(*queries.turned.shape, len(along)) for axis in (0, 1))
        points = torch.stack([torch.where(turned, x, along), torch.where(turned, along, y)], dim=-1)
        return shades(field(points.flatten(1, 2)).view(*points.shape[:3], 2))


class Lines(GridDomain[Settings]):
    @classmethod
    def presets(cls):
        return Waves.presets()

    def sources(self):
        return {"formulas": load}

    def observed(self) -> tuple[str, ...]:
        return ("shade",)

    @cached_property
    def sampler(self) -> LineSampler:
        return LineSampler()

    @cached_property
    def renderer(self) -> LineRenderer:
        return LineRenderer(self.domain.layout, self.settings.native)

    def metrics(self):
        return {}

    def read(self, path: Path) -> GridSignal:
        return read(path, self.settings)

    def exporters(self):
        return {".npy": write}

    def picture(self, artefact) -> Image.Image:
        return picture(artefact)

    def contact_sheet(self, signal, seen, fields, artefacts) -> dict[str, list[Image.Image]]:
        """A picture as wide as there are lines, then two a field."""
        first = Image.new("L", (seen.queries.coords.shape[1], 16), 0)
        return {"seen": [first]} | {f"field {n}": [Image.new("L", (16, 16), 128)] * 2 for n in range(len(fields))}


LINES = Domain(
    api_version=1,
    name="lines",
    summary="Shades along lines through blobs",
    layout=LAYOUT,
    values=("cover", "tone"),
    implementation="lines_domain:Lines",
)
