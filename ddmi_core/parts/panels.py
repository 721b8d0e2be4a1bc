"""Default panels of `ddmi view`: grids with zoom, meshes with rotation, and pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ddmi_core.api.interfaces import Renderer
from ddmi_core.api.panels import Look, Panel, Shown
from ddmi_core.atomic import file_bytes
from ddmi_core.fields.field import Field
from ddmi_core.fields.layout import Layout
from ddmi_core.grids.raster import Window
from ddmi_core.grids.renderer import GridRenderer
from ddmi_core.parts.media import Drawn, encoded

GLB = ".glb"
LARGEST_LOOK = 1024  # rows and columns of a picture
LEAST_LINE = 1024  # cells of a line, for any part of it
LONGEST_LINE = 1 << 18
ZOOMED = 2  # axes of a picture
LINE_ASPECT = 1.6


class GridPanel(Panel):
    """Fields on grids as pictures of any part, evaluated again at every zoom.

    The last two axes of a grid, or the only one, are zoomed; slower axes get sliders. A line is drawn with at least
    1024 cells.

    Args:
        layout: its axes.
        renderer: of grids.
        picture: draws an artefact.
        draw: draws the artefact of a part; if it returns frames, the first is shown. `picture` by default.
    """

    gesture = "zoom"

    def __init__(
        self,
        layout: Layout,
        renderer: GridRenderer,
        picture: Callable[[Any], Drawn],
        draw: Callable[[Any], Drawn] | None = None,
    ) -> None:
        names = tuple(reversed(layout.axes))
        self.renderer, self.native = renderer, renderer.native
        self.axes, self.sliders = names[-ZOOMED:], names[:-ZOOMED]
        self.picture, self.draw = picture, draw or picture
        self.aspect = self.native[-1] / self.native[-2] if len(self.native) >= ZOOMED else LINE_ASPECT

    def show(self, field: Field, look: Look) -> Shown:
        """The part of the field within the bounds, as a PNG picture."""
        bounds = look.bounds or ((-1.0, 1.0),) * len(self.axes)
        if len(bounds) != len(self.axes):
            raise ValueError(f"bounds have {len(bounds)} intervals for the axes {', '.join(self.axes)}")
        at = look.at or (0.0,) * len(self.sliders)
        if len(at) != len(self.sliders):
            raise ValueError(f"at has {len(at)} places for the sliders {', '.join(self.sliders) or 'none'}")
        rows, columns = (min(side, LARGEST_LOOK) for side in look.size)
        size = (rows, columns) if len(self.axes) == ZOOMED else (self._cells(bounds[0]),)
        cells = [_around(place, length) for place, length in zip(at, self.native, strict=False)]
        window = Window((1,) * len(cells) + size, (*cells, *bounds))
        drawn = self.draw(self.renderer.render(field, window))
        return Shown(*encoded(drawn if hasattr(drawn, "save") else drawn[0], small=False))

    def thumbnail(self, field: Field) -> Shown:
        """The domain's picture of the field at its native size; planar signals in at least 256 pixels."""
        if self.sliders or len(self.axes) < ZOOMED:
            return Shown(*encoded(self.picture(self.renderer.render(field)), small=False))
        return super().thumbnail(field)

    def _cells(self, bounds: tuple[float, float]) -> int:
        low, high = bounds
        return min(LONGEST_LINE, max(LEAST_LINE, round(self.native[-1] * (high - low) / 2)))


class MeshPanel(Panel):
    """Fields as the meshes that the domain writes as `.glb`; the page rotates them.

    Args:
        renderer: renders the artefacts.
        write: the exporter of `.glb` files.
    """

    gesture = "turn"

    def __init__(self, renderer: Renderer[Any, Any], write: Callable[[Any, Path], None]) -> None:
        self.renderer, self.write = renderer, write

    def show(self, field: Field, look: Look) -> Shown:
        """The mesh at the view, or at the native view while the user moves."""
        mesh = self.renderer.render(field, look.view if look.rest else None)
        return Shown("model/gltf-binary", file_bytes(lambda path: self.write(mesh, path), GLB))


class PicturePanel(Panel):
    """Fields as the domain's pictures for reports.

    Args:
        renderer: renders the artefacts.
        picture: draws an artefact.
    """

    def __init__(self, renderer: Renderer[Any, Any], picture: Callable[[Any], Drawn]) -> None:
        self.renderer, self.picture = renderer, picture

    def show(self, field: Field, look: Look) -> Shown:
        """The picture at the view, or an animation."""
        return Shown(*encoded(self.picture(self.renderer.render(field, look.view)), small=False))


def _around(place: float, cells: int) -> tuple[float, float]:
    """The interval of one cell around a place on a slider's axis; the place is clamped to the outer cell centres."""
    half = 1 / cells
    middle = min(max(place, half - 1), 1 - half)
    return max(-1.0, middle - half), min(1.0, middle + half)
