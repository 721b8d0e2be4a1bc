"""A metric of pictures: how well edges are reconstructed."""

from __future__ import annotations

from torch import Tensor

from ddmi_core.api import Field
from ddmi_core.parts import GridRenderer, GridSignal


def edges(fields: Field, signal: GridSignal, renderer: GridRenderer) -> Tensor:
    """Mean absolute error of differences between neighbouring cells along the last two axes: `(B,)`."""
    errors = renderer.native_values(fields) - signal.values.cpu()
    rows, columns = errors.diff(dim=-2).abs(), errors.diff(dim=-1).abs()
    return (rows.flatten(1).mean(dim=1) + columns.flatten(1).mean(dim=1)) / 2
