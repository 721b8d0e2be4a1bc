"""The ready implementation of domains whose signals are measurements at irregular places, of any number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from math import prod
from typing import TypeVar

import torch
from attrs import frozen
from torch import Tensor

from ddmi_core.api.interfaces import CoordinateSampler, Encoder
from ddmi_core.api.observations import Observations
from ddmi_core.api.signals import Queries
from ddmi_core.autoencoder.config import AutoencoderConfig
from ddmi_core.autoencoder.embedded_grids import plane_cells
from ddmi_core.autoencoder.encoders import PointEncoder
from ddmi_core.display import ShortText
from ddmi_core.draws import per_row
from ddmi_core.fields.coordinates import cell_axes, lattice_points
from ddmi_core.fields.field import Field
from ddmi_core.fields.layout import Layout
from ddmi_core.grids.raster import GridArtefact, StoredGrid
from ddmi_core.grids.renderer import GridRenderer
from ddmi_core.parts.domain_parts import Metric
from ddmi_core.parts.picture_sheet import Sheet, picture_rows
from ddmi_core.parts.raster_domain import RasterDomain

T = TypeVar("T")

REACH = 2.0  # cells around a measurement that an original shows
PAIRS = 1 << 20  # distances in memory at once


@frozen(eq=False, repr=False)
class PointSignal(ShortText):
    """Values at irregular places. Signals with fewer measurements than others of the batch are padded."""

    coords: Tensor  # (B, M, D), in [-1, 1], in the order of the layout's axes
    values: Tensor  # (B, M, V), in [-1, 1]
    weights: Tensor  # (B, M): relative weight of each measurement in the loss; 0 for padding

    @staticmethod
    def padded(rows: Sequence[tuple[Tensor, Tensor]], weights: Sequence[Tensor] = ()) -> PointSignal:
        """A batch of signals with different numbers of measurements.

        Args:
            rows: coordinates `(m, D)` and values `(m, V)` of each signal; m at least 1.
            weights: `(m,)` of each signal, above 0; equal if omitted.

        Raises:
            ValueError: if there is no signal, or one has no measurement, or numbers differ.
        """
        counts = [len(coords) for coords, _ in rows]
        if not counts or min(counts) < 1 or any(len(values) != len(coords) for coords, values in rows):
            raise ValueError(f"a signal requires a measurement or more, with one value each; got {counts} measurements")
        own = weights or [torch.ones(count) for count in counts]
        parts = zip(*((*row, weight) for row, weight in zip(rows, own, strict=True)), strict=True)
        return PointSignal(*(torch.nn.utils.rnn.pad_sequence(list(part), batch_first=True).float() for part in parts))


class PointSampler(CoordinateSampler[PointSignal]):
    """Draws measurements with replacement. Padding has weight zero.

    Args:
        extra: number of extra columns of the layout, which are zero.
    """

    def __init__(self, extra: int = 0) -> None:
        self.extra = extra

    def sample(self, signal: PointSignal, n: int, generator: torch.Generator) -> Queries:
        """`n` of the measurements of each signal, with their weights."""
        batch, count = signal.weights.shape
        drawn = per_row(generator, batch, lambda rows, g: torch.rand(rows, n, generator=g, device=g.device))
        drawn = drawn.to(signal.weights)
        # As many draws of each signal: the padding is at the end.
        own = (signal.weights > 0).sum(dim=1, keepdim=True)
        return self._queries(signal, (drawn * own).long().clamp(max=count - 1).minimum(own - 1))

    def places(self, signal: PointSignal, most: int, generator: torch.Generator) -> Queries:
        """The measurements of one signal; a random subset of `most` if there are more."""
        (real,) = (signal.weights[0] > 0).nonzero(as_tuple=True)
        if len(real) > most:
            order = torch.randperm(len(real), generator=generator, device=generator.device)[:most].sort().values
            real = real[order.to(real.device)]
        return self._queries(signal, real[None])

    def _queries(self, signal: PointSignal, index: Tensor) -> Queries:
        coords, values = (
            part.gather(1, index[..., None].expand(-1, -1, part.shape[2])) for part in (signal.coords, signal.values)
        )
        extra = coords.new_zeros(*index.shape, self.extra)
        return Queries(coords, extra, values, weights=signal.weights.gather(1, index))


class PointDomain(RasterDomain[T, PointSignal]):
    """A domain of measurements at irregular places: signals are `PointSignal`, and artefacts are grids.

    An author gives the settings, whose property `native` is the size of a render in the native view (cells along each
    axis, slowest first), and defines `sources`, `read` and `picture`. `TensorSet` holds sets of signals.
    """

    def blank(self) -> PointSignal:
        """As many measurements as the native grid has cells, at their centres, with the value zero."""
        coords = lattice_points(cell_axes(self.native))[None]
        return PointSignal(
            coords, coords.new_zeros(1, coords.shape[1], len(self.domain.values)), torch.ones_like(coords[..., 0])
        )

    def encoder(self, config: AutoencoderConfig) -> Encoder[PointSignal]:
        """Encoder of the measurements as points with values and weights, without the padding.

        Its planes have as many cells together as the native grid, in full stages.
        """
        layout = self.domain.layout
        return PointEncoder(
            lambda signal: layout.in_planes(signal.coords),
            lambda signal: signal.values,
            len(self.domain.values),
            layout,
            plane_cells(layout, prod(self.native), 2 ** (len(config.encoder.widths) - 1)),
            config.latent_channels,
            config.encoder,
            mask=lambda signal: signal.weights > 0,
        )

    @cached_property
    def sampler(self) -> PointSampler:
        """Random measurements."""
        return PointSampler(len(self.domain.layout.extra))

    def metrics(self) -> Mapping[str, Metric]:
        """Root mean square error at the measurements."""
        return {"rmse": rmse}

    def signal_features(self, signal: PointSignal) -> Tensor:
        """`features` of native grids, each cell with the value of the nearest measurement."""
        grids, _ = nearest_values(signal, self.domain.layout, self.native)
        return self.features(grids.cpu())

    def ground_truth(self, signal: PointSignal, index: int) -> GridArtefact:
        """The nearest measurement of each native cell; NaN where none is within two cells."""
        one = PointSignal(*(part[index : index + 1] for part in (signal.coords, signal.values, signal.weights)))
        grids, cells = nearest_values(one, self.domain.layout, self.native)
        values = grids[0].movedim(0, -1).where(cells[0, ..., None] <= REACH, torch.nan).cpu().contiguous().numpy()
        return StoredGrid(values=values, size=self.native, extent=self.renderer.extent)

    def contact_sheet(
        self, signal: PointSignal, seen: Observations, fields: Field, artefacts: Sequence[GridArtefact]
    ) -> Sheet:
        """The original, the observed measurements as an original, and the completions."""
        coords = seen.queries.coords.cpu()
        observed = PointSignal(coords, seen.values[seen.cells][None].cpu(), torch.ones_like(coords[..., 0]))
        known = {"original": self.ground_truth(signal, 0), "observed": self.ground_truth(observed, 0)}
        return picture_rows(self.picture, known, artefacts)


def rmse(fields: Field, signal: PointSignal, renderer: GridRenderer) -> Tensor:
    """Root mean square error at the measurements, `(B,)`, with their weights."""
    extra = renderer.extra(renderer.native)
    errors = (fields(signal.coords, extra).cpu() - signal.values.cpu()).square().mean(dim=-1)
    weights = signal.weights.cpu()
    return ((errors * weights).sum(dim=1) / weights.sum(dim=1)).sqrt()


def nearest_values(signal: PointSignal, layout: Layout, native: Sequence[int]) -> tuple[Tensor, Tensor]:
    """The value of the measurement nearest to each cell centre, and its distance in cells.

    Args:
        signal: measurements.
        layout: of the axes; distances wrap along the periodic ones.
        native: cells along each axis, slowest first.

    Returns:
        `(B, V, *native)` and `(B, *native)`
    """
    centres = lattice_points(cell_axes(native, signal.coords.device))
    lengths = centres.new_tensor(list(reversed(native)))
    wraps = torch.tensor(layout.wraps, device=centres.device)
    grids, distances = [], []
    for coords, values, weights in zip(signal.coords, signal.values, signal.weights, strict=True):
        coords, values = coords[weights > 0], values[weights > 0]
        nearest = []
        for part in torch.split(centres, max(1, PAIRS // len(coords))):
            steps = part[:, None] - coords
            steps = torch.where(wraps, (steps + 1).remainder(2) - 1, steps) * (lengths / 2)
            nearest.append(steps.square().sum(dim=-1).min(dim=1))
        grids.append(torch.cat([values[found.indices] for found in nearest]).t().reshape(-1, *native))
        distances.append(torch.cat([found.values for found in nearest]).sqrt().reshape(*native))
    return torch.stack(grids), torch.stack(distances)
