"""Rendering of fields as grids of any size, slab by slab, so that memory stays bounded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import log2
from numbers import Integral
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from attrs import frozen
from torch import Tensor

from ddmi_core.api.interfaces import Renderer
from ddmi_core.api.signals import Queries
from ddmi_core.errors import RequestError, counted
from ddmi_core.fields.field import Field
from ddmi_core.fields.lattice import cell_axes
from ddmi_core.fields.layout import Layout
from ddmi_core.grids.sampler import FOOTPRINT

LARGEST = 65536


@frozen(eq=False)
class Raster:
    """One field on a regular grid of cells, computed when it is read.

    Example:
        >>> raster = renderer.render(field, (8192, 8192))  # doctest: +SKIP
        >>> for slab in raster.slabs():  # doctest: +SKIP
        ...     write(slab)  # (m, 8192, V), m rows
    """

    field: Field  # a batch of one
    size: tuple[int, ...]  # cells along each axis, slowest first
    extra: Tensor  # (X,), constant over the grid
    limits: tuple[float, float]  # values are clipped to this range

    @property
    def channels(self) -> int:
        """Number of value channels, V."""
        return self.field.readout.values

    @torch.inference_mode()
    def slabs(self) -> Iterator[npt.NDArray[np.float32]]:
        """Yield float32 arrays `(m, ..., V)` in order along the slowest axis, each computed on demand."""
        axes = cell_axes(self.size, self.field.device)
        for _, values in self.field.lattice(axes, self.extra).slabs():
            yield values.clamp_(*self.limits).float().cpu().numpy()

    def array(self) -> npt.NDArray[np.float32]:
        """The whole grid in memory: float32, `(*size, V)`."""
        out = np.empty((*self.size, self.channels), dtype=np.float32)
        start = 0
        for slab in self.slabs():
            out[start : start + len(slab)] = slab
            start += len(slab)
        return out


class GridRenderer(Renderer):
    """Plain evaluation of fields, at points (`observe`) and on regular grids (`render`).

    If the layout has the extra column `footprint`, a render fills it with `log2(native / size)` of the
    last grid axis, as `GridSampler` does in training.

    Args:
        layout: axes, and the names of the extra columns.
        native: cells along each axis at the native size, slowest axis first.
        limits: lowest and highest value of a rendered grid; renders are clipped to them.

    Raises:
        RequestError: if the native size does not fit the layout.
    """

    def __init__(self, layout: Layout, native: Sequence[int], limits: tuple[float, float] = (-1.0, 1.0)) -> None:
        self.layout, self.limits = layout, limits
        self.native = self._checked(native)

    def observe(self, field: Field, queries: Queries) -> Tensor:
        """Values of the field at the queries' coordinates, `(B, N, V)`; not clipped."""
        return field(queries.coords, queries.extra)

    def render(self, field: Field, view: Any = None) -> Raster:
        """The field on a regular grid, without computing it yet.

        Args:
            field: a batch of one.
            view: cells along each axis, slowest axis first; one number stands for all axes, and `None` for
                the native size.

        Raises:
            RequestError: if the size has another number of axes, or lengths out of range.
            ValueError: if the batch is not one.
        """
        if len(field) != 1:
            raise ValueError(f"render takes a batch of one field; got {len(field)}, so render field[i]")
        size = self.native if view is None else self._checked(view)
        return Raster(field=field, size=size, extra=self.extra(size), limits=self.limits)

    def extra(self, size: Sequence[int]) -> Tensor:
        """Extra columns `(X,)` of a render at a size."""
        extra = torch.zeros(len(self.layout.extra))
        if FOOTPRINT in self.layout.extra:
            extra[self.layout.extra.index(FOOTPRINT)] = log2(self.native[-1] / size[-1])
        return extra

    def native_queries(self, batch: int, device: torch.device | str = "cpu") -> Queries:
        """All cells of the native grid as queries, `(B, N, D)`, without targets (V = 0).

        Through `observe` they give whole batches on the native grid: `.reshape(B, *native, V)`.
        """
        columns = torch.meshgrid(*reversed(cell_axes(self.native, device)), indexing="ij")
        coords = torch.stack([column.flatten() for column in reversed(columns)], dim=-1)
        return Queries(
            coords=coords.expand(batch, -1, -1),
            extra=self.extra(self.native).to(device).expand(batch, len(coords), -1),
            targets=coords.new_zeros(batch, len(coords), 0),
            patch=self.native,
        )

    def _checked(self, size: Any) -> tuple[int, ...]:
        axes = ", ".join(reversed(self.layout.axes))
        lengths = tuple(size) if isinstance(size, Sequence) and not isinstance(size, str) else (size,)
        shown = "x".join(map(str, lengths))
        if len(lengths) == 1:
            lengths *= len(self.layout.axes)
        if len(lengths) != len(self.layout.axes):
            raise RequestError(
                f"size {shown} has {counted(len(lengths), 'number')}; give one for all axes, or "
                f"{len(self.layout.axes)}, slowest axis first: {axes}"
            )
        for length in lengths:
            if isinstance(length, bool) or not isinstance(length, Integral) or not 1 <= int(length) <= LARGEST:
                raise RequestError(f"size {shown} is out of range: each axis takes a whole number from 1 to {LARGEST}")
        return tuple(int(length) for length in lengths)
