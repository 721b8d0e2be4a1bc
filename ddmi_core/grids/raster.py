"""Grid artefacts: values computed from a field slab by slab, or stored in memory."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt
import torch
from attrs import evolve, frozen
from torch import Tensor

from ddmi_core.display import Artefact
from ddmi_core.errors import NotFiniteError
from ddmi_core.fields.coordinates import window_axes
from ddmi_core.fields.field import Field

Values = npt.NDArray[np.float32]


Bounds = tuple[tuple[float, float], ...]


@frozen
class Window:
    """A view of a part of a field: a regular grid of cells over an interval of each axis.

    Args:
        size: cells along each axis, slowest first.
        bounds: where the first cell begins and the last one ends, in coordinates, slowest axis first.

    Raises:
        ValueError: if size and bounds differ in length, or an interval is empty or outside [-1, 1].

    Example:
        >>> Window(size=(64, 64), bounds=((-1.0, 0.0), (0.0, 1.0))).share  # one quarter of a picture
        (0.5, 0.5)
    """

    size: tuple[int, ...]
    bounds: Bounds

    def __attrs_post_init__(self) -> None:
        """Check the bounds."""
        if len(self.size) != len(self.bounds):
            raise ValueError(f"size {self.size} and bounds {self.bounds} must have one entry for each axis")
        for low, high in self.bounds:
            if not -1 <= low < high <= 1:
                raise ValueError(f"invalid bounds ({low:g}, {high:g}): need -1 <= low < high <= 1")

    @property
    def share(self) -> tuple[float, ...]:
        """Fraction of each axis that it spans, in (0, 1]."""
        return tuple((high - low) / 2 for low, high in self.bounds)

    @staticmethod
    def whole(size: Sequence[int]) -> Window:
        """The window of the whole field."""
        return Window(tuple(size), ((-1.0, 1.0),) * len(size))


@frozen(eq=False, kw_only=True, repr=False)
class GridArtefact(Artefact, ABC):
    """Values on a regular grid of cells, from which pictures and files are made."""

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

    def to_numpy(self) -> npt.NDArray[Any]:
        """Pictures and clips as uint8, 0 to 255, as `Artefact.to_numpy`; other grids as `array`."""
        pixels = self.shown_by.pixels(self) if self.shown_by else None
        return self.array() if pixels is None else pixels

    def array(self) -> Values:
        """The whole grid in memory: float32, `(*size, V)`, in the limits of the renderer, usually -1 to 1."""
        out = np.empty((*self.size, self.channels), dtype=np.float32)
        start = 0
        for slab in self.slabs():
            out[start : start + len(slab)] = slab
            start += len(slab)
        return out


@frozen(eq=False, kw_only=True, repr=False)
class Raster(GridArtefact):
    """One field on a regular grid of cells, computed on demand.

    Example:
        >>> raster = renderer.render(field, (8192, 8192))  # doctest: +SKIP
        >>> for slab in raster.slabs():  # doctest: +SKIP
        ...     write(slab)  # (m, 8192, V), m rows
    """

    field: Field  # a batch of one
    bounds: Bounds  # the part of each axis that is shown, slowest first
    extra: Callable[[Sequence[float]], Tensor] = attrs.field(
        repr=False
    )  # columns (X,), from cells along each whole axis
    limits: tuple[float, float]  # values are clipped to this range

    @property
    def channels(self) -> int:
        """Number of value channels, V."""
        return self.field.readout.values

    @torch.inference_mode()
    def slabs(self) -> Iterator[Values]:
        """Yield float32 arrays `(m, ..., V)` in order along the slowest axis, each computed on demand."""
        axes = window_axes(self.size, self.bounds, self.field.device)
        shares = Window(self.size, self.bounds).share
        extra = self.extra([length / share for length, share in zip(self.size, shares, strict=True)])
        for _, values in self.field.lattice(axes, extra).slabs():
            if not values.isfinite().all():
                raise NotFiniteError.of_field()
            yield values.clamp_(*self.limits).float().cpu().numpy()

    def at(self, size: Sequence[int]) -> Raster:
        """The same part of the field on another grid."""
        return evolve(self, size=tuple(size))


@frozen(eq=False, kw_only=True, repr=False)
class StoredGrid(GridArtefact):
    """Values stored on one grid: a signal as an artefact."""

    values: Values  # (*size, V)

    @property
    def channels(self) -> int:
        """Number of value channels, V."""
        return int(self.values.shape[-1])

    def slabs(self) -> Iterator[Values]:
        """Yield all values at once."""
        yield self.values

    def at(self, size: Sequence[int]) -> StoredGrid:
        """Nearest-neighbour resampling: each new cell takes the value of the cell that contains its centre."""
        values = self.values
        for axis, (new, old) in enumerate(zip(size, self.size, strict=True)):
            values = values.take((2 * np.arange(new) + 1) * old // (2 * new), axis=axis)
        return evolve(self, size=tuple(size), values=values)
