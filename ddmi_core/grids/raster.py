"""Grids of values as artefacts: computed from a field slab by slab, or held in memory."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
import torch
from attrs import evolve, frozen
from torch import Tensor

from ddmi_core.fields.field import Field
from ddmi_core.fields.lattice import cell_axes

Values = npt.NDArray[np.float32]


@frozen(eq=False, kw_only=True)
class GridArtefact(ABC):
    """Values on a regular grid of cells: what pictures and files of grids are made of."""

    size: tuple[int, ...]  # cells along each axis, slowest first
    extent: tuple[float, ...]  # length of each axis in the domain's units, slowest first

    @property
    @abstractmethod
    def channels(self) -> int:
        """Number of value channels, V."""

    @abstractmethod
    def slabs(self) -> Iterator[Values]:
        """Yield float32 arrays `(m, ..., V)` in order along the slowest axis."""

    @abstractmethod
    def at(self, size: Sequence[int]) -> GridArtefact:
        """The same on a grid of another size, slowest axis first."""

    def array(self) -> Values:
        """The whole grid in memory: float32, `(*size, V)`."""
        out = np.empty((*self.size, self.channels), dtype=np.float32)
        start = 0
        for slab in self.slabs():
            out[start : start + len(slab)] = slab
            start += len(slab)
        return out


@frozen(eq=False, kw_only=True)
class Raster(GridArtefact):
    """One field on a regular grid of cells, computed when it is read.

    Example:
        >>> raster = renderer.render(field, (8192, 8192))  # doctest: +SKIP
        >>> for slab in raster.slabs():  # doctest: +SKIP
        ...     write(slab)  # (m, 8192, V), m rows
    """

    field: Field  # a batch of one
    extra: Callable[[Sequence[int]], Tensor]  # extra columns (X,) at a size, constant over the grid
    limits: tuple[float, float]  # values are clipped to this range

    @property
    def channels(self) -> int:
        """Number of value channels, V."""
        return self.field.readout.values

    @torch.inference_mode()
    def slabs(self) -> Iterator[Values]:
        """Yield float32 arrays `(m, ..., V)` in order along the slowest axis, each computed on demand."""
        axes = cell_axes(self.size, self.field.device)
        for _, values in self.field.lattice(axes, self.extra(self.size)).slabs():
            yield values.clamp_(*self.limits).float().cpu().numpy()

    def at(self, size: Sequence[int]) -> Raster:
        """The same field on another grid."""
        return evolve(self, size=tuple(size))


@frozen(eq=False, kw_only=True)
class StoredGrid(GridArtefact):
    """Values that are known on one grid: a signal as an artefact."""

    values: Values  # (*size, V)

    @property
    def channels(self) -> int:
        """Number of value channels, V."""
        return int(self.values.shape[-1])

    def slabs(self) -> Iterator[Values]:
        """Yield all values at once."""
        yield self.values

    def at(self, size: Sequence[int]) -> StoredGrid:
        """Each new cell takes the value of the cell that its centre lies in."""
        values = self.values
        for axis, (new, old) in enumerate(zip(size, self.size, strict=True)):
            values = values.take((2 * np.arange(new) + 1) * old // (2 * new), axis=axis)
        return evolve(self, size=tuple(size), values=values)
