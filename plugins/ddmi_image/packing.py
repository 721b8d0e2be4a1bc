"""Packing of pictures at several resolutions into rows of bytes, and sets of such rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

from ddmi_core.parts import GridSet, mirroring

Pixels = npt.NDArray[np.uint8]
Values = npt.NDArray[np.float64]


def row_bytes(sides: Sequence[int]) -> int:
    """Bytes of one packed picture with levels of the given widths."""
    return sum(3 * side * side for side in sides)


def pack(picture: Image.Image, sides: Sequence[int]) -> Pixels:
    """Pack all levels of an RGB picture into one row of bytes: native level first, channels first.

    Args:
        picture: square, as wide as the last level; pixels of the others are means over their areas.
        sides: width of each level, increasing.
    """
    return np.concatenate([_reduced(picture, side).transpose(2, 0, 1).ravel() for side in sides])


def _reduced(picture: Image.Image, side: int) -> Pixels:
    """The picture with another width, at most its own: `(side, side, 3)`, means over the area of each pixel."""
    factor, rest = divmod(picture.width, side)
    if not rest:
        return np.asarray(picture.reduce(factor))
    return np.rint(area_means(np.asarray(picture, dtype=np.float64), side)).astype(np.uint8)


def area_means(picture: Values, side: int) -> Values:
    """Means of a picture `(H, W, V)` over the areas of `side` x `side` equal cells, which may cut its pixels.

    Example:
        >>> area_means(np.array([[0.0, 3.0, 6.0]] * 3)[..., None], 2)[0, :, 0]
        array([1., 5.])
    """
    return _means(_means(picture, side).swapaxes(0, 1), side).swapaxes(0, 1)


def _means(values: Values, n: int) -> Values:
    """Means over n equal parts of the first axis: `(m, ...)` to `(n, ...)`."""
    sums = np.concatenate([np.zeros_like(values[:1]), values.cumsum(axis=0)])
    whole, part = np.divmod(np.arange(n + 1) * len(values), n)  # where each part begins, and the last one ends
    share = (part / n).reshape(-1, *[1] * (values.ndim - 1))
    borders = sums[whole] + share * values[np.minimum(whole, len(values) - 1)]
    return np.diff(borders, axis=0) * (n / len(values))


def picture_set(
    pixels: Pixels,
    names: Sequence[str],
    sides: Sequence[int],
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
        sides: width of each level, native first.
        rows: see `GridSet`.
        classes: see `GridSet`.
        labels: see `GridSet`.
        mirrored: whether each picture of the set may be mirrored; none by default.
        captions: see `GridSet`.
    """
    levels, start = [], 0
    for side in sides:
        part = pixels[:, start : start + 3 * side * side]
        levels.append(part.reshape(len(pixels), 3, side, side))
        start += 3 * side * side
    augment = mirroring(mirrored or [False] * len(names))
    return GridSet(levels, names, rows, classes, labels, augment, captions)
