"""Packing of pictures at several resolutions into rows of bytes, and sets of such rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

from ddmi_core.parts import GridSet, mirroring

Pixels = npt.NDArray[np.uint8]


def sides(size: int, detail: int) -> tuple[int, ...]:
    """Width of each level, native first: 1, 2, 4, ... up to `detail` times the size."""
    return tuple(size << power for power in range(detail.bit_length()))


def row_bytes(size: int, detail: int) -> int:
    """Bytes of one packed picture."""
    return sum(3 * side * side for side in sides(size, detail))


def pack(picture: Image.Image, size: int) -> Pixels:
    """Pack all levels of an RGB picture into one row of bytes: native level first, channels first.

    Args:
        picture: square, `size` times a power of two wide; smaller levels are averages over blocks.
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
    """A set of packed pictures, mirrored at random in training if allowed.

    Args:
        pixels: `(M, R)`, one row per picture, from `pack`.
        names: one per picture of the set.
        size: native size.
        detail: largest multiple of the native size.
        rows: see `GridSet`.
        classes: see `GridSet`.
        labels: see `GridSet`.
        mirrored: whether each picture of the set may be mirrored; none by default.
        captions: see `GridSet`.
    """
    levels, start = [], 0
    for side in sides(size, detail):
        part = pixels[:, start : start + 3 * side * side]
        levels.append(part.reshape(len(pixels), 3, side, side))
        start += 3 * side * side
    augment = mirroring(mirrored or [False] * len(names))
    return GridSet(levels, names, rows, classes, labels, augment, captions)
