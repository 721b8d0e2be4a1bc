"""Pictures for reports: embedded PNG, and basis fields as colours."""

from __future__ import annotations

import base64
import io

import numpy as np
import torch
from attrs import evolve, frozen
from PIL import Image
from torch import Tensor

from ddmi_core.fields.field import Field
from ddmi_core.fields.planes import Planes


@frozen
class Picture:
    """An embedded picture with its caption."""

    source: str  # data URL
    width: int
    height: int
    caption: str = ""


def embedded(drawn: Image.Image, caption: str = "") -> Picture:
    """A PIL image as a data URL."""
    stream = io.BytesIO()
    drawn.save(stream, format="PNG", optimize=True)
    source = "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()
    return Picture(source, drawn.width, drawn.height, caption)


def basis_picture(plane: Tensor) -> Image.Image:
    """Basis fields of one plane as colours: their first three principal components.

    Args:
        plane: `(C, H, W)`, or `(C, W)` for a line, which is drawn as a band.
    """
    grid = plane.unsqueeze(1) if plane.ndim == 2 else plane
    channels, high, wide = grid.shape
    rows = grid.reshape(channels, -1).T.double()
    rows = rows - rows.mean(dim=0)
    _, _, axes = torch.linalg.svd(rows, full_matrices=False)
    # The sign of a component is arbitrary; fix it, so that equal fields give equal pictures.
    axes = axes[:3] * torch.where(axes[:3].sum(dim=1, keepdim=True) < 0, -1.0, 1.0)
    parts = rows @ axes.T
    scale = parts.std(dim=0, correction=0).clamp_min(1e-9)
    colours = torch.zeros(len(rows), 3, dtype=torch.float64)
    colours[:, : parts.shape[1]] = parts / scale
    pixels = ((colours / 4 + 0.5).clamp(0, 1) * 255).round().byte().reshape(high, wide, 3).numpy()
    if high == 1:
        pixels = np.repeat(pixels, max(4, wide // 8), axis=0)
    return Image.fromarray(pixels)


def only_coarse(field: Field, scales: int) -> Field:
    """The field whose finer scales are replaced by their means, to show what the coarse ones draw alone."""

    def flat(plane: Tensor) -> Tensor:
        return plane.mean(dim=tuple(range(2, plane.ndim)), keepdim=True).expand_as(plane)

    return evolve(
        field,
        basis=tuple(
            planes if scale < scales else Planes(map(flat, planes)) for scale, planes in enumerate(field.basis)
        ),
    )
