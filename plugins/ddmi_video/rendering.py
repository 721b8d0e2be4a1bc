"""Rendering of clips and slices through time, with the views of reports, the viewer's panel, and training samples."""

from __future__ import annotations

from typing import Any

from attrs import evolve, frozen
from PIL import Image

from ddmi_core.api import Field
from ddmi_core.parts import GridArtefact, GridRenderer, Raster, Window
from ddmi_video.export import frames as frames_of
from ddmi_video.settings import VideoSettings
from ddmi_video.views import ClipView

LARGEST_VIEW = 96  # rows and columns of the largest view in a report
SLICE = 96  # times and columns of a slice


@frozen
class Slice:
    """A slice through time: the middle row of the frames, one time below the other; motion shows as slanted lines.

    Args:
        times: number of times, from top to bottom.
        columns: number of pixels in a row.
    """

    times: int
    columns: int


class ClipRenderer(GridRenderer):
    """Clips as grids over t, y and x; frames are computed when they are read."""

    def render(self, field: Field, view: Any = None) -> Raster:
        """A clip, or a slice through time, computed when it is read.

        Args:
            field: a batch of one.
            view: a `ClipView`, a `Slice`, or frames, rows and columns, as for `GridRenderer`.

        Raises:
            RequestError: if the view does not fit, or is out of range.
            ValueError: if the batch size is not one.
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


def report_views(settings: VideoSettings) -> tuple[tuple[str, Any], ...]:
    """A slice through time, the native clip, and clips of two and four times its frame rate, the last one larger."""
    frames, rows, columns = settings.native
    large = min(2 * rows, max(rows, LARGEST_VIEW)), min(2 * columns, max(columns, LARGEST_VIEW))
    return (
        ("one row over time (downwards)", Slice(SLICE, SLICE)),
        (f"{frames} frames", settings.native),
        (f"{2 * frames} frames", (2 * frames, rows, columns)),
        (f"{4 * frames} frames, {large[0]} x {large[1]}", (4 * frames, *large)),
    )


def first_frame(artefact: GridArtefact) -> Image.Image:
    """The first frame of a clip at full size."""
    return Image.fromarray(next(frames_of(artefact)))
