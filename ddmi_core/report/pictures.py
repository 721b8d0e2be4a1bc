"""Pictures for reports: embedded images and animations, media players, and basis fields as colours."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from attrs import evolve, frozen
from PIL import Image
from torch import Tensor

from ddmi_core.fields.field import Field
from ddmi_core.fields.planes import Planes
from ddmi_core.parts.media import data_url, encoded, frames_of

PLAYER = 180  # smallest width of a player in pixels
MOST_STRETCH = 3.0


@frozen
class Picture:
    """An embedded picture with its caption."""

    source: str  # data URL
    width: int
    height: int
    caption: str = ""
    sound: str = ""  # data URL of the artefact as audio, or empty
    clip: str = ""  # data URL of the artefact as video, or empty

    def shown(self, side: int) -> int:
        """Width on the page in pixels; wide pictures and players exceed `side`, the width of a square."""
        least = PLAYER if self.sound or self.clip else side
        return max(least, round(side * min(MOST_STRETCH, max(1.0, self.width / self.height))))


def embedded(drawn: Image.Image | Sequence[Image.Image], caption: str = "", media: Media | None = None) -> Picture:
    """A PIL image, or the frames of a looping animation, with optional media, as data URLs."""
    first = frames_of(drawn)[0]
    urls = {} if media is None else {media.player: data_url(media.kind, media.data)}
    return Picture(data_url(*encoded(drawn)), first.width, first.height, caption, **urls)


@frozen
class Media:
    """A file that browsers play."""

    kind: str  # media type, `audio/...` or `video/...`
    data: bytes

    @property
    def player(self) -> str:
        """The field of `Picture` for it."""
        return "sound" if self.kind.startswith("audio/") else "clip"


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
    # The sign of a component is arbitrary; it is fixed, so that equal fields give equal pictures.
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
    """The field with its finer scales replaced by their means, to show the contribution of the coarse ones."""

    def flat(plane: Tensor) -> Tensor:
        return plane.mean(dim=tuple(range(2, plane.ndim)), keepdim=True).expand_as(plane)

    return evolve(
        field,
        basis=tuple(
            planes if scale < scales else Planes(map(flat, planes)) for scale, planes in enumerate(field.basis)
        ),
    )
