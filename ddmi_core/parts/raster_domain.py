"""The ready implementation of domains whose fields are drawn on regular grids, whatever their signals are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from math import prod
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from ddmi_core.api.observations import Observations
from ddmi_core.api.panels import Panel
from ddmi_core.errors import PluginError
from ddmi_core.fields.field import Field
from ddmi_core.grids.raster import GridArtefact, StoredGrid
from ddmi_core.grids.renderer import GridRenderer
from ddmi_core.grids.sizes import LARGEST, parse_size
from ddmi_core.parts.array_files import ARRAY, write_array
from ddmi_core.parts.domain_parts import DomainParts
from ddmi_core.parts.panels import GridPanel
from ddmi_core.parts.picture_sheet import Sheet, picture_rows

T = TypeVar("T")  # settings
S = TypeVar("S")  # signal

LARGEST_VIEW = 1 << 20  # cells of the largest view of a report
DOUBLINGS = 3  # from the native size to the largest view, at most
COARSE = 4  # cells along each axis of the default features


class RasterDomain(DomainParts[T, S, Any, GridArtefact]):
    """A domain whose artefacts are grids, while its signals may be anything, such as measurements at irregular places.

    For signals on grids, derive from `GridDomain`. An author gives the settings, whose property `native` is the native
    size (cells along each axis, slowest first) and whose attribute `extent`, if present, the length of each axis in the
    domain's units, and defines `sources`, `read`, `encoder`, `sampler`, `signal_features`, `ground_truth`, `picture`.
    """

    @property
    def native(self) -> tuple[int, ...]:
        """`settings.native`: cells along each axis, slowest first.

        Raises:
            PluginError: if the settings have none, or it does not match the layout.
        """
        name, settings, axes = self.domain.name, type(self.settings).__name__, reversed(self.domain.layout.axes)
        names = ", ".join(axes)
        native = getattr(self.settings, "native", None)
        if native is None:
            raise PluginError(
                f"domain {name!r} draws fields on grids, which requires {settings}.native: add a property with the "
                f"cells along each axis, slowest first ({names}), or derive from DomainParts"
            )
        if len(native) != len(self.domain.layout.axes):
            raise PluginError(
                f"domain {name!r}: {settings}.native is {tuple(native)}; the layout requires one number for each axis, "
                f"slowest first: {names}"
            )
        return tuple(native)

    @cached_property
    def renderer(self) -> GridRenderer:
        """Renderer of grids of any size."""
        return GridRenderer(self.domain.layout, self.native, extent=getattr(self.settings, "extent", None))

    def exporters(self) -> Mapping[str, Callable[[GridArtefact, Path], None]]:
        """NumPy arrays; see `write_array`."""
        return {ARRAY: write_array}

    def features(self, values: Tensor) -> Tensor:
        """Features `(B, F)` of native grids `(B, V, *grid)` on the CPU; by default `grid_features`."""
        return grid_features(values)

    def field_features(self, fields: Field) -> Tensor:
        """`features` of the fields' native grids."""
        return self.features(self.renderer.native_values(fields))

    def pictures(self, fields: Field) -> Tensor | None:
        """The native grids of fields with two axes and one or three values; one value gives a grey picture."""
        return as_pictures(self.renderer.native_values(fields))

    def report_views(self) -> Sequence[tuple[str, Any]]:
        """Four sizes, each twice the previous one.

        The largest is 8 times the native size, with fewer doublings if that exceeds 2^20 cells or the renderer's
        longest axis; at least the native size.
        """
        native = self.native
        factor = 2.0**DOUBLINGS
        while factor > 1 and (factor ** len(native) * prod(native) > LARGEST_VIEW or factor * max(native) > LARGEST):
            factor /= 2
        sizes = [tuple(max(1, int(n * factor / 2**back)) for n in native) for back in reversed(range(4))]
        return tuple((" x ".join(map(str, size)), size) for size in dict.fromkeys(sizes))

    def parse_view(self, text: str) -> Any:
        """`64` for all axes, or `48x64`, cells along each axis, slowest first.

        Raises:
            RequestError: for another form.
        """
        return parse_size(text)

    def contact_sheet(self, signal: S, seen: Observations, fields: Field, artefacts: Sequence[GridArtefact]) -> Sheet:
        """The original, the observed values on its grid, and the completions; animations by four frames each.

        The observed values are left out if originals are not grids over the axes of the layout.
        """
        original = self.ground_truth(signal, 0)
        shown = {"original": original}
        if isinstance(original, GridArtefact) and len(original.size) == len(self.domain.layout.axes):
            shown["observed"] = _observed(original.array(), seen, self.renderer)
        return picture_rows(self.picture, shown, artefacts)

    def panel(self) -> Panel:
        """Pictures with zoom, and sliders for axes beyond two.

        `picture` draws the artefacts, which have one cell along each axis with a slider.
        """
        return GridPanel(self.domain.layout, self.renderer, self.picture)


def _observed(original: Any, seen: Observations, renderer: GridRenderer) -> StoredGrid:
    """The observed values on the native grid, with the middle of the range elsewhere."""
    values = np.full_like(original, sum(renderer.limits) / 2)
    coords = seen.queries.coords[0].cpu()
    size = original.shape[:-1]
    cells = tuple(
        ((coords[:, column] + 1) / 2 * length).long().clamp(0, length - 1).numpy()
        for column, length in zip(reversed(range(coords.shape[1])), size, strict=True)
    )
    values[cells] = seen.values[seen.cells].cpu().numpy()
    return StoredGrid(size=size, extent=renderer.extent, values=values)


def as_pictures(values: Tensor) -> Tensor | None:
    """Grids `(B, V, *grid)` as pictures `(B, 3, H, W)`; `None` unless they have two axes and one or three values."""
    if values.ndim != 4 or values.shape[1] not in (1, 3):
        return None
    return values.expand(-1, 3, -1, -1)


def grid_features(values: Tensor) -> Tensor:
    """Default features of grids: means, and mean absolute differences along each axis, over coarse cells.

    Args:
        values: `(B, V, *grid)`.

    Returns:
        `(B, F)`, F at most `V (1 + axes) 4^axes`
    """
    axes = values.ndim - 2

    def coarse(grid: Tensor) -> Tensor:
        for axis in range(2, grid.ndim):
            cells = grid.tensor_split(min(COARSE, grid.shape[axis]), dim=axis)
            grid = torch.stack([cell.mean(dim=axis) for cell in cells], dim=axis)
        return grid.flatten(1)

    parts = [coarse(values)]
    parts += [coarse(values.diff(dim=2 + axis).abs()) for axis in range(axes) if values.shape[2 + axis] > 1]
    return torch.cat(parts, dim=1)
