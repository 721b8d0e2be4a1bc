"""Handwritten digits as smooth level sets: the originals of scikit-learn, readable at any size."""

from __future__ import annotations

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt
from attrs import frozen

from ddmi_core.errors import PluginError
from ddmi_video.scenes.scene import Doubles, Floats

FILE = ("datasets", "data", "digits.csv.gz")  # in scikit-learn's folder
CELLS = 8  # of an original, along each side
BORDER = 2  # empty cells around it
MIDDLES: Doubles = np.arange(-BORDER, CELLS + BORDER, dtype=np.float64) + 0.5
FULL = 16.0  # its greatest grey value
# The outline is where the interpolated grey crosses the first of these that makes the digit readable.
LEVELS = (0.5, 0.45, 0.55, 0.4, 0.6, 0.65)
HOLES = {0: (1,), 4: (0, 1), 6: (1,), 8: (2,), 9: (1,)}  # others have none
FINE = 10  # samples a cell, along each side, to judge and to measure outlines by
LEAST_HOLE = 40  # samples; smaller ones would close in a picture


@frozen(eq=False)
class Glyph:
    """One handwritten digit. Places are in cells, from the upper left corner of the original."""

    original: int  # its number in scikit-learn's set
    digit: int
    weights: Doubles  # (12, 12), of cubic B-splines: what they sum to goes through the original's values
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
        """Share of each sample's cell that lies inside of the outline.

        Args:
            x: `(T, W)`, columns of samples.
            y: `(T, H)`, rows.
            step: distance of neighbouring samples.

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
        # The distance from the outline is the difference in height over the slope, to first order.
        away = (grey - np.float32(self.level)) / np.maximum(slope * np.float32(step), np.float32(1e-3))
        result: Floats = np.clip(away + np.float32(0.5), 0, 1)
        return result


def splines(places: Doubles) -> tuple[Doubles, Doubles]:
    """Values and slopes of the cubic B-splines of all cells: `(*places, 12)`."""
    offset = places[..., None] - MIDDLES
    away = np.abs(offset)
    inner, outer = away < 1, np.maximum(2 - away, 0)
    values = np.where(inner, 2 / 3 - away**2 + away**3 / 2, outer**3 / 6)
    slopes = np.where(inner, (1.5 * away - 2) * away, -(outer**2) / 2) * np.sign(offset)
    return values, slopes


@lru_cache(maxsize=1)
def glyphs() -> tuple[Glyph, ...]:
    """All originals that are readable: in one piece, and with the holes that the digit has."""
    images, digits = handwritten()
    originals = np.pad(images / FULL, ((0, 0), (BORDER, BORDER), (BORDER, BORDER)))
    inverse = np.linalg.inv(splines(MIDDLES)[0])
    fine: Doubles = (np.arange(-FINE, (CELLS + 1) * FINE) + 0.5) / FINE
    basis = splines(fine)[0]
    weights = inverse @ originals @ inverse.T
    result = []
    for number, digit in enumerate(digits.tolist()):
        grey = basis @ weights[number] @ basis.T
        level = next((level for level in LEVELS if readable(grey > level, digit)), None)
        if level is not None:
            result.append(Glyph(number, digit, weights[number], level, _box(grey > level, fine)))
    return tuple(result)


def handwritten() -> tuple[Doubles, npt.NDArray[np.int64]]:
    """The digits that scikit-learn carries: grey values `(M, 8, 8)`, 0 to 16, and which digit each is.

    Its file is read as it lies: importing the package changes the environment of the process.

    Raises:
        PluginError: if scikit-learn is not installed, or has no such file.
    """
    package = find_spec("sklearn")
    folders = [] if package is None else package.submodule_search_locations or []
    place = next((path for folder in folders if (path := Path(folder, *FILE)).is_file()), None)
    if place is None:
        raise PluginError("the moving digits are those that scikit-learn carries; pip install scikit-learn")
    rows = np.loadtxt(place, delimiter=",")
    return rows[:, :-1].reshape(-1, CELLS, CELLS), rows[:, -1].astype(np.int64)


def readable(inside: npt.NDArray[np.bool_], digit: int) -> bool:
    """Whether a form is in one piece and has as many holes as the digit has when it is written by hand."""
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
