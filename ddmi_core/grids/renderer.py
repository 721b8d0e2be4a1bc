"""Renderer of fields on grids of any size."""

from __future__ import annotations

from collections.abc import Sequence
from math import log2
from typing import Any

import torch
from torch import Tensor

from ddmi_core.api.interfaces import Renderer
from ddmi_core.api.signals import Queries
from ddmi_core.fields.coordinates import cell_axes, lattice_points
from ddmi_core.fields.field import Field
from ddmi_core.fields.layout import Layout
from ddmi_core.grids.raster import GridArtefact, Raster, Window
from ddmi_core.grids.sampler import FOOTPRINT
from ddmi_core.grids.sizes import checked_size


class GridRenderer(Renderer[Any, GridArtefact]):
    """Plain evaluation of fields, at points (`observe`) and on regular grids (`render`).

    If the layout has the extra column `footprint`, a render fills it with `log2(native / size)` of the
    last grid axis, as `GridSampler` does in training.

    Args:
        layout: axes, and the names of the extra columns.
        native: cells along each axis at the native size, slowest axis first.
        limits: lowest and highest value of a rendered grid; renders are clipped to them.
        extent: length of each axis in the domain's own units (seconds, metres), slowest axis first; renders
            carry it, so that files can state durations and sizes; 2 along each axis, as for coordinates, by default.

    Raises:
        RequestError: if the native size does not match the layout.
        ValueError: if the extent does not match it.
    """

    def __init__(
        self,
        layout: Layout,
        native: Sequence[int],
        limits: tuple[float, float] = (-1.0, 1.0),
        extent: Sequence[float] | None = None,
    ) -> None:
        self.layout, self.limits, self.axes = layout, limits, tuple(reversed(layout.axes))
        self.native = checked_size(native, self.axes)
        self.extent = (2.0,) * len(self.native) if extent is None else tuple(map(float, extent))
        if len(self.extent) != len(self.native) or min(self.extent) <= 0:
            raise ValueError(f"extent {self.extent} must have a positive length for each of {len(self.native)} axes")

    def observe(self, field: Field, queries: Queries) -> Tensor:
        """Values of the field at the queries' coordinates, `(B, N, V)`; not clipped."""
        return field(queries.coords, queries.extra, queries.patch)

    def render(self, field: Field, view: Any = None) -> Raster:
        """The field on a regular grid, computed on demand.

        Args:
            field: a batch of one.
            view: cells along each axis, slowest axis first; one number for all axes, `None` for the native size,
                or a `Window` for a part of the field.

        Raises:
            RequestError: if the size has another number of axes, or lengths out of range.
            ValueError: if the batch is not one.
        """
        if len(field) != 1:
            raise ValueError(f"render takes a batch of one field; got {len(field)}, so render field[i]")
        if isinstance(view, Window):
            size, window = checked_size(view.size, self.axes, repeat=False), view
        else:
            size = self.native if view is None else checked_size(view, self.axes)
            window = Window.whole(size)
        extent = tuple(length * share for length, share in zip(self.extent, window.share, strict=True))
        return Raster(field=field, size=size, bounds=window.bounds, extra=self.extra, limits=self.limits, extent=extent)

    def native_values(self, fields: Field) -> Tensor:
        """Values of a batch on the native grid, on the CPU: `(B, V, *native)`, as `GridSignal.values`; clipped."""
        return torch.stack([torch.from_numpy(self.render(field).array()) for field in fields]).movedim(-1, 1)

    def extra(self, size: Sequence[float]) -> Tensor:
        """Extra columns `(X,)` of a render, from the cells that each whole axis has at its scale."""
        extra = torch.zeros(len(self.layout.extra))
        if FOOTPRINT in self.layout.extra:
            extra[self.layout.extra.index(FOOTPRINT)] = log2(self.native[-1] / size[-1])
        return extra

    def native_queries(self, batch: int, device: torch.device | str = "cpu") -> Queries:
        """All cells of the native grid as queries, `(B, N, D)`, without targets (V = 0).

        `observe` at these queries gives whole batches on the native grid: `.reshape(B, *native, V)`.
        """
        coords = lattice_points(cell_axes(self.native, device))
        return Queries(
            coords=coords.expand(batch, -1, -1),
            extra=self.extra(self.native).to(device).expand(batch, len(coords), -1),
            targets=coords.new_zeros(batch, len(coords), 0),
            patch=self.native,
        )
