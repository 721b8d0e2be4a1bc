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

DRAWS = 16  # of the sampler, to find the coordinates at which it draws


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


def on_layout(subject: Subject, size: Sequence[int], what: str) -> None:
    """Require that a grid has the axes of the layout.

    Raises:
        NotApplicable: if it has others, as a spectrogram of a sound.
    """
    if len(size) != len(subject.domain.layout.axes):
        raise NotApplicable(f"{what} have {len(size)} axes, and the layout {len(subject.domain.layout.axes)}")


def lattice_of(subject: Subject, size: Sequence[int]) -> tuple[Tensor, ...]:
    """Coordinates of a native grid, in the layout's order: those at which the sampler draws, or else cell centres."""
    drawn = torch.cat([subject.queries(seed).coords.flatten(0, 1) for seed in range(DRAWS)])
    rows = []
    for column, (length, centres) in enumerate(zip(reversed(size), cell_axes(size), strict=True)):
        places = torch.unique((drawn[:, column] * 2**16).round()) / 2**16
        cell = ((places + 1) / 2 * length).floor().clamp(0, length - 1)
        # One place in each cell; levels of other sizes, or places anywhere, give more.
        rows.append(places if torch.equal(cell, torch.arange(float(length))) else centres)
    return tuple(rows)


def other_lattice(subject: Subject) -> bool:
    """Whether sampler and renders agree on a native lattice that is not that of the cell centres."""
    try:
        shown = torch.from_numpy(grid_of(subject.native))
        on_layout(subject, shown.shape[:-1], "artefacts")
    except NotApplicable:
        return False
    rows, centres = lattice_of(subject, shown.shape[:-1]), cell_axes(shown.shape[:-1])
    if all(torch.allclose(row, centre, atol=1e-4) for row, centre in zip(rows, centres, strict=True)):
        return False
    here, there = (_observed(subject, subject.fields[0], axes)[0] for axes in (rows, centres))
    low, high = subject.parts.renderer.limits
    return float((here.clamp(low, high) - shown).abs().max()) < float((there.clamp(low, high) - shown).abs().max())


def own_signal(subject: Subject) -> GridSignal:
    """The signal of the fields' native grids.

    Raises:
        NotApplicable: if signals or renderer are not the core's grid types.
    """
    renderer = subject.parts.renderer
    if not isinstance(renderer, GridRenderer) or type(subject.batch) is not GridSignal:
        raise NotApplicable("signals or renderer are not the core's grid types, so a field gives no signal")
    return GridSignal(renderer.native_values(subject.fields))


def _cells(subject: Subject, axes: Sequence[Tensor], batch: int) -> Queries:
    """All points of a lattice as queries, slowest axis first, with the renderer's extra columns, if any."""
    coords, size = lattice_points(axes), tuple(len(row) for row in reversed(axes))
    renderer, count = subject.parts.renderer, len(subject.domain.layout.extra)
    extra = renderer.extra(size) if isinstance(renderer, GridRenderer) else torch.zeros(count)
    return Queries(
        coords=coords.expand(batch, -1, -1),
        extra=extra.expand(batch, len(coords), -1),
        targets=coords.new_zeros(batch, len(coords), len(subject.domain.values)),
        patch=size,
    )


def on_native_grid(subject: Subject, fields: Field) -> Tensor:
    """Values of `observe` on the lattice of the native grid: `(B, *native, V)`.

    Raises:
        NotApplicable: if artefacts are not grids with the axes of the layout.
    """
    size = grid_of(subject.native).shape[:-1]
    on_layout(subject, size, "artefacts")
    return _observed(subject, fields, lattice_of(subject, size) if other_lattice(subject) else cell_axes(size))


def _observed(subject: Subject, fields: Field, axes: Sequence[Tensor]) -> Tensor:
    with torch.no_grad():
        values = subject.parts.renderer.observe(fields, _cells(subject, axes, len(fields)))
    return values.reshape(len(fields), *(len(row) for row in reversed(axes)), -1)
