"""Packing of pictures at several resolutions into rows of bytes, and sets of such rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

from ddmi_core.parts import GridSet, mirroring

Pixels = npt.NDArray[np.uint8]
Sizes = Sequence[tuple[int, int]]
Values = npt.NDArray[np.float64]


def row_bytes(sizes: Sizes, channels: int = 3) -> int:
    """Bytes of one packed picture with levels of the given rows and columns."""
    return sum(channels * rows * columns for rows, columns in sizes)


def pack(picture: Image.Image, sizes: Sizes) -> Pixels:
    """Pack all levels of a picture into one row of bytes: native level first, channels first.

    Args:
        picture: RGB, or RGBa (premultiplied), as large as the last level; pixels of the others are means over their
            areas.
        sizes: rows and columns of each level, increasing.
    """
    return np.concatenate([_reduced(picture, *size).transpose(2, 0, 1).ravel() for size in sizes])


def _reduced(picture: Image.Image, rows: int, columns: int) -> Pixels:
    """The picture with another size, at most its own: `(rows, columns, V)`, means over the area of each pixel."""
    (across, rest), (down, over) = divmod(picture.width, columns), divmod(picture.height, rows)
    if not rest and not over:
        return np.asarray(picture.reduce((across, down)))
    return np.rint(area_means(np.asarray(picture, dtype=np.float64), rows, columns)).astype(np.uint8)


def area_means(picture: Values, rows: int, columns: int) -> Values:
    """Means of a picture `(H, W, V)` over the areas of `rows` x `columns` equal cells, which may cut its pixels.

    Example:
        >>> area_means(np.array([[0.0, 3.0, 6.0]] * 3)[..., None], 2, 2)[0, :, 0]
        array([1., 5.])
    """
    return _means(_means(picture, rows).swapaxes(0, 1), columns).swapaxes(0, 1)


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
    sizes: Sizes,
    *,
    channels: int = 3,
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
        sizes: rows and columns of each level, native first.
        channels: of each pixel.
        rows: see `GridSet`.
        classes: see `GridSet`.
        labels: see `GridSet`.
        mirrored: whether each picture of the set may be mirrored; none by default.
        captions: see `GridSet`.
    """
    levels, start = [], 0
    for size in sizes:
        end = start + row_bytes([size], channels)
        levels.append(pixels[:, start:end].reshape(len(pixels), channels, *size))
        start = end
    augment = mirroring(mirrored or [False] * len(names))
    return GridSet(levels, names, rows, classes, labels, augment, captions)
