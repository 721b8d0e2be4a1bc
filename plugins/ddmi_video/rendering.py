"""Clips of fields, at any size, frame rate and speed, and slices through time."""

from __future__ import annotations

from typing import Any

from attrs import evolve, frozen

from ddmi_core.api import Domain, Field
from ddmi_core.parts import GridRenderer, Raster, Window
from ddmi_video.settings import VideoSettings
from ddmi_video.views import ClipView

LARGEST_VIEW = 96  # rows and columns of a report's largest view
SLICE = 96  # times and columns of a slice


@frozen
class Slice:
    """One row of all frames over time: how it moves shows as slanted lines.

    Args:
        times: moments, from top to bottom.
        columns: places along the row.
    """

    times: int
    columns: int


class ClipRenderer(GridRenderer):
    """Clips as grids over t, y and x, computed frame by frame when they are read."""

    def render(self, field: Field, view: Any = None) -> Raster:
        """A clip, or a slice through time, without computing it yet.

        Args:
            field: a batch of one.
            view: a `ClipView`, a `Slice`, or as a `GridRenderer` takes it: frames, rows and columns.

        Raises:
            RequestError: if the view does not fit, or is out of range.
            ValueError: if the batch is not one.
        """
        if isinstance(view, Slice):
            row = 1 / self.native[1]
            window = Window((view.times, 1, view.columns), ((-1.0, 1.0), (-row, row), (-1.0, 1.0)))
            return super().render(field, window)
        if not isinstance(view, ClipView):
            return super().render(field, view)
        size = (view.frames, view.rows, view.columns)
        clip = super().render(field, Window(size, ((view.start, view.end), (-1.0, 1.0), (-1.0, 1.0))))
        return evolve(clip, extent=(view.seconds, *clip.extent[1:]))


def renderer(domain: Domain, settings: VideoSettings) -> ClipRenderer:
    """Clips whose native size is that of the settings."""
    return ClipRenderer(domain.layout, settings.native, extent=settings.extent)


def views(domain: Domain, settings: VideoSettings) -> tuple[tuple[str, Any], ...]:
    """A slice through time, the native clip, and clips of twice and four times its frame rate, the last one larger."""
    frames, rows, columns = settings.native
    large = min(2 * rows, max(rows, LARGEST_VIEW)), min(2 * columns, max(columns, LARGEST_VIEW))
    return (
        ("one row over time (downwards)", Slice(SLICE, SLICE)),
        (f"{frames} frames", settings.native),
        (f"{2 * frames} frames", (2 * frames, rows, columns)),
        (f"{4 * frames} frames, {large[0]} x {large[1]}", (4 * frames, *large)),
    )
