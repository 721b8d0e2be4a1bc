"""Rendering of fields as logits at points and as meshes, and of signals as point clouds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ddmi_core.api import Field, Queries, Renderer
from ddmi_core.parts import Mesh, checked_size, extract_surface
from ddmi_occupancy.settings import OccupancySettings

AXES = ("z", "y", "x")  # slowest first
LEAST, LARGEST = 4, 1024  # cells along an axis
LARGEST_VIEW = 256  # in a report
VIEWS = 4  # resolutions in a report


class OccupancyRenderer(Renderer[int | tuple[int, ...], Mesh]):
    """Evaluates occupancy logits at points (`observe`) and extracts surfaces as meshes (`render`).

    Args:
        native: cells along z, y and x of the lattice on which surfaces are extracted by default.

    Raises:
        RequestError: if the native size is out of range.
    """

    def __init__(self, native: Sequence[int]) -> None:
        self.native = checked_size(native, AXES, LEAST, LARGEST)

    def observe(self, field: Field, queries: Queries) -> Tensor:
        """Logits `(B, N, 1)` of the fields at the queries' coordinates: positive inside; differentiable."""
        return field(queries.coords, queries.extra)

    @torch.no_grad()
    def render(self, field: Field, view: Any = None) -> Mesh:
        """The surface of a field as a closed mesh; empty if the field is negative everywhere.

        A field that is positive everywhere gives the cube [-1, 1]^3. Time and memory grow with the area of the surface;
        memory is about 400 bytes per triangle.

        Args:
            field: a batch of one.
            view: cells along each axis, from 4 to 1024: one number, or one each for z, y and x; `None` for the native
                size.

        Raises:
            RequestError: if the size is invalid or out of range, or the field is not finite.
            ValueError: if the batch is not one.
        """
        if len(field) != 1:
            raise ValueError(f"render requires a batch of one field, got {len(field)}; render field[i]")
        return extract_surface(field, self.native if view is None else checked_size(view, AXES, LEAST, LARGEST))


def report_views(settings: OccupancySettings) -> tuple[tuple[str, int], ...]:
    """Four resolutions in a report, each twice the previous one, up to four times the native one and 256 cells."""
    largest = min(LARGEST_VIEW, 4 * settings.resolution)
    sizes = [largest >> back for back in reversed(range(VIEWS))]
    return tuple((f"{size} cells", size) for size in sizes if size >= LEAST)
