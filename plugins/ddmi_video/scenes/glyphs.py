"""Handwritten digits as smooth level sets, legible at any size."""

from __future__ import annotations

from functools import lru_cache
from importlib import resources
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt
from attrs import frozen

from ddmi_core.errors import DataError
from ddmi_video.scenes.procedural_clip import Doubles, Floats

FILE = "handwritten_digits.npz"
COUNT = 1797  # of originals
CELLS = 8  # of an original, along each side
BORDER = 2  # empty cells around it
CENTRES: Doubles = np.arange(-BORDER, CELLS + BORDER, dtype=np.float64) + 0.5
FULL = 16  # greatest grey value
# The outline is a level set of the interpolated grey values, at the first of these levels that makes the digit legible.
LEVELS = (0.5, 0.45, 0.55, 0.4, 0.6, 0.65)
HOLES = {0: (1,), 4: (0, 1), 6: (1,), 8: (2,), 9: (1,)}  # valid numbers of holes; other digits have none
FINE = 10  # samples per cell along each side, to check and measure outlines
LEAST_HOLE = 40  # samples; smaller holes would vanish when drawn

Bytes = npt.NDArray[np.uint8]


@frozen(eq=False)
class Glyph:
    """One handwritten digit; coordinates are in cells from the top left corner of the original."""

    original: int  # index in the data set
    digit: int
    weights: Doubles  # (12, 12), of cubic B-splines that interpolate the grey values of the original
    level: float
    box: tuple[float, float, float, float]  # left, top, right, bottom of the outline

    @property
    def width(self) -> float:
        """Cells from left to right."""
        return self.box[2] - self.box[0]

    @property
    def height(self) -> float:
        """Cells from top to bottom."""
        return self.box[3] - self.box[1]

    def cover(self, x: Doubles, y: Doubles, step: float) -> Floats:
        """Antialiased coverage: the fraction of each sample's cell that is inside the outline.

        Args:
            x: `(T, W)`, columns of samples.
            y: `(T, H)`, rows.
            step: distance between neighbouring samples.

        Returns:
            `(T, H, W)`
        """
        across, across_slope = splines(x)
        down, down_slope = splines(y)
        columns = self.weights @ across.swapaxes(1, 2)
        grey = (down @ columns).astype(np.float32)
        slope_down = (down_slope @ columns).astype(np.float32)
        slope_across = (down @ (self.weights @ across_slope.swapaxes(1, 2))).astype(np.float32)
        slope = np.sqrt(slope_across * slope_across + slope_down * slope_down)
        # To first order, the distance from the outline is the difference in grey value over the slope.
        away = (grey - np.float32(self.level)) / np.maximum(slope * np.float32(step), np.float32(1e-3))
        result: Floats = np.clip(away + np.float32(0.5), 0, 1)
        return result


def splines(places: Doubles) -> tuple[Doubles, Doubles]:
    """Values and derivatives of the cubic B-splines of all cells: `(*places, 12)`."""
    offset = places[..., None] - CENTRES
    away = np.abs(offset)
    inner, outer = away < 1, np.maximum(2 - away, 0)
    values = np.where(inner, 2 / 3 - away**2 + away**3 / 2, outer**3 / 6)
    slopes = np.where(inner, (1.5 * away - 2) * away, -(outer**2) / 2) * np.sign(offset)
    return values, slopes


@lru_cache(maxsize=1)
def glyphs() -> tuple[Glyph, ...]:
    """All legible originals: in one piece, with a valid number of holes."""
    images, labels = handwritten()
    originals = np.pad(images.astype(np.float64) / FULL, ((0, 0), (BORDER, BORDER), (BORDER, BORDER)))
    inverse = np.linalg.inv(splines(CENTRES)[0])
    fine: Doubles = (np.arange(-FINE, (CELLS + 1) * FINE) + 0.5) / FINE
    basis = splines(fine)[0]
    weights = inverse @ originals @ inverse.T
    result = []
    for number, digit in enumerate(labels.tolist()):
        grey = basis @ weights[number] @ basis.T
        level = next((level for level in LEVELS if readable(grey > level, digit)), None)
        if level is not None:
            result.append(Glyph(number, digit, weights[number], level, _box(grey > level, fine)))
    return tuple(result)


def handwritten() -> tuple[Bytes, Bytes]:
    """The originals and their labels: grey values `(1797, 8, 8)`, 0 to 16, and digits `(1797,)`.

    They are the test set of "Optical Recognition of Handwritten Digits" (E. Alpaydin and C. Kaynak, UCI Machine
    Learning Repository, 1998, https://doi.org/10.24432/C50P49, CC BY 4.0), as in scikit-learn's `load_digits`.

    Raises:
        DataError: if the file of this package is missing or damaged.
    """
    place = resources.files("ddmi_video.scenes") / FILE
    try:
        with place.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            images, labels = arrays["images"], arrays["labels"]
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise _damaged(str(error)) from error
    if images.dtype != np.uint8 or images.shape != (COUNT, CELLS, CELLS) or images.max() > FULL:
        raise _damaged(f"images of type {images.dtype} and shape {images.shape}")
    if labels.dtype != np.uint8 or labels.shape != (COUNT,) or labels.max() > 9:
        raise _damaged(f"labels of type {labels.dtype} and shape {labels.shape}")
    return images, labels


def _damaged(why: str) -> DataError:
    return DataError(
        f"{resources.files('ddmi_video.scenes') / FILE}: missing or damaged ({why}). "
        "Fix: pip install --force-reinstall --no-deps ddmi"
    )


def readable(inside: npt.NDArray[np.bool_], digit: int) -> bool:
    """Whether a shape is in one piece and has as many holes as the handwritten digit can have."""
    from scipy import ndimage

    if ndimage.label(inside, np.ones((3, 3)))[1] != 1:
        return False
    outside, count = ndimage.label(~inside)
    return count - 1 in HOLES.get(digit, (0,)) and np.bincount(outside.ravel())[1:].min() >= LEAST_HOLE


def _box(inside: npt.NDArray[np.bool_], fine: Doubles) -> tuple[float, float, float, float]:
    columns, rows = fine[inside.any(axis=0)], fine[inside.any(axis=1)]
    step = 1 / FINE
    left, right = float(columns[0]) - step, float(columns[-1]) + step
    return (left, float(rows[0]) - step, right, float(rows[-1]) + step)
