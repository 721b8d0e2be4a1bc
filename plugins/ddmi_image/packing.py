"""Pictures as rows of bytes that hold all their levels, and sets made of such rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

from ddmi_core.parts import GridSet, mirroring

Pixels = npt.NDArray[np.uint8]


def sides(size: int, detail: int) -> tuple[int, ...]:
    """Width of each level, the native one first: 1, 2, 4, ... up to `detail` times the size."""
    return tuple(size << power for power in range(detail.bit_length()))


def row_bytes(size: int, detail: int) -> int:
    """Bytes of one packed picture."""
    return sum(3 * side * side for side in sides(size, detail))


def pack(picture: Image.Image, size: int) -> Pixels:
    """All levels of an RGB picture as one row of bytes: native first, channels first.

    Args:
        picture: square, a power of two times `size` wide; smaller levels are its means over blocks.
        size: native size.
    """
    levels = [picture.reduce(picture.width // side) for side in sides(size, picture.width // size)]
    return np.concatenate([np.asarray(level).transpose(2, 0, 1).ravel() for level in levels])


def picture_set(
    pixels: Pixels,
    names: Sequence[str],
    size: int,
    detail: int = 1,
    *,
    rows: Sequence[int] | None = None,
    classes: Sequence[str] = (),
    labels: Sequence[int] | None = None,
    mirrored: Sequence[bool] = (),
    captions: Sequence[Sequence[str]] = (),
) -> GridSet:
    """The set of packed pictures, mirrored at random in training where allowed.

    Args:
        pixels: `(M, R)`, one row a picture, as `pack` makes it.
        names: one name a picture of the set.
        size: native size.
        detail: greatest multiple of it.
        rows: see `GridSet`.
        classes: see `GridSet`.
        labels: see `GridSet`.
        mirrored: whether each picture of the set may be mirrored; none if left out.
        captions: see `GridSet`.
    """
    levels, start = [], 0
    for side in sides(size, detail):
        part = pixels[:, start : start + 3 * side * side]
        levels.append(part.reshape(len(pixels), 3, side, side))
        start += 3 * side * side
    augment = mirroring(mirrored or [False] * len(names))
    return GridSet(levels, names, rows, classes, labels, augment, captions)
