"""Access to the values of grid signals, artefacts and renderers, for checks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy.typing as npt
import torch
from torch import Tensor

from ddmi_core.api.signals import Queries
from ddmi_core.fields.coordinates import cell_axes, lattice_points
from ddmi_core.fields.field import Field
from ddmi_core.grids.raster import GridArtefact
from ddmi_core.grids.renderer import GridRenderer
from ddmi_core.grids.sampler import as_values
from ddmi_core.grids.signals import GridSignal
from ddmi_core.testing.check import NotApplicable
from ddmi_core.testing.subject import Subject


def levels_of(signal: Any) -> tuple[Tensor, ...]:
    """Values `(B, V, *grid)` of a signal's levels, the native one first.

    Raises:
        NotApplicable: if it has none.
    """
    if not callable(getattr(signal, "levels", None)):
        raise NotApplicable(f"signals have no levels(): {type(signal).__name__} is not on a grid")
    return tuple(as_values(level) for level in signal.levels())


def grid_of(artefact: Any) -> npt.NDArray[Any]:
    """Values `(*size, V)` of an artefact.

    Raises:
        NotApplicable: if it is not on a grid.
    """
    if not isinstance(artefact, GridArtefact):
        raise NotApplicable(f"artefacts are not on grids: {type(artefact).__name__} is not a GridArtefact")
    return artefact.array()


def own_signal(subject: Subject) -> GridSignal:
    """The signal of the fields' native grids.

    Raises:
        NotApplicable: if signals or renderer are not the core's grid types.
    """
    renderer = subject.parts.renderer
    if not isinstance(renderer, GridRenderer) or type(subject.batch) is not GridSignal:
        raise NotApplicable("signals or renderer are not the core's grid types, so a field gives no signal")
    return GridSignal(renderer.native_values(subject.fields))


def cells(subject: Subject, size: Sequence[int], batch: int) -> Queries:
    """All cells of a grid as queries, slowest axis first, with the renderer's extra columns, if any."""
    coords = lattice_points(cell_axes(size))
    renderer, count = subject.parts.renderer, len(subject.domain.layout.extra)
    extra = renderer.extra(size) if isinstance(renderer, GridRenderer) else torch.zeros(count)
    return Queries(
        coords=coords.expand(batch, -1, -1),
        extra=extra.expand(batch, len(coords), -1),
        targets=coords.new_zeros(batch, len(coords), len(subject.domain.values)),
        patch=tuple(size),
    )


def on_native_grid(subject: Subject, fields: Field) -> Tensor:
    """Values of `observe` on the native grid: `(B, *native, V)`."""
    size = grid_of(subject.native).shape[:-1]
    with torch.no_grad():
        values = subject.parts.renderer.observe(fields, cells(subject, size, len(fields)))
    return values.reshape(len(fields), *size, -1)
