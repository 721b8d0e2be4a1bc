"""What all scenes have in common: a name, words, and a picture at any time and of any size."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from attrs import field, frozen, validators

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Pixels = npt.NDArray[np.uint8]

LEAST = 48  # smaller pictures are means of larger ones
PIXEL_A_FRAME = 1 / 3  # speed of one pixel a frame, of 16 frames of 48 x 48, in half pictures a half clip


@frozen
class Scene(ABC):
    """A moving picture that is known at all times and at all sizes.

    Places x (to the right) and y (down) and the time t are in [-1, 1].
    """

    number: int = field(validator=validators.ge(0))

    @property
    @abstractmethod
    def kind(self) -> str:
        """The class."""

    @property
    @abstractmethod
    def captions(self) -> tuple[str, ...]:
        """Two to four sentences, each word of which is true; the first names the class alone."""

    @property
    @abstractmethod
    def key(self) -> str:
        """Scenes with equal keys are on the same side of a split."""

    @property
    @abstractmethod
    def mirrored(self) -> bool:
        """Whether its mirror image is such a scene too, and no caption speaks of a side."""

    @property
    def name(self) -> str:
        """Class and number, `sunset-0042`; `scene` takes it."""
        return f"{self.kind}-{self.number:04d}"

    @abstractmethod
    def paint(self, times: Doubles, size: int) -> Floats:
        """Colours `(T, 3, size, size)` from 0 to 255, each pixel the mean over its area."""

    def draw(self, times: Sequence[float] | Doubles, size: int) -> Pixels:
        """The picture at some times.

        Args:
            times: T times in [-1, 1]; frame i of n is at (2i + 1) / n - 1.
            size: rows and columns, at least 1.

        Returns:
            `(T, 3, size, size)`, RGB, the upper row first.

        Raises:
            ValueError: if a time is outside, or `size` is below 1.
        """
        moments = np.asarray(times, dtype=np.float64).reshape(-1)
        if size < 1:
            raise ValueError(f"size={size} pixels cannot be drawn; give at least 1")
        if not (np.abs(moments) <= 1).all():
            raise ValueError(f"times from {moments.min():g} to {moments.max():g} are not all in [-1, 1]")
        factor = max(1, -(-LEAST // size))
        picture = mean(self.paint(moments, size * factor), factor)
        return np.clip(np.rint(picture), 0, 255).astype(np.uint8)


def mean(values: Floats, factor: int) -> Floats:
    """Means over blocks of `factor` x `factor` in the last two dimensions."""
    if factor == 1:
        return values
    *_, rows, columns = values.shape
    blocks = values.reshape(*values.shape[:-2], rows // factor, factor, columns // factor, factor)
    result: Floats = blocks.mean(axis=(-3, -1))
    return result


def centres(size: int) -> Doubles:
    """Places of the middles of `size` cells."""
    return (2 * np.arange(size) + 1) / size - 1


def folded(way: Doubles, limit: float) -> Doubles:
    """A place between -limit and limit, after a way from -limit that turns back at both ends."""
    result: Doubles = limit - np.abs(np.mod(way, 4 * limit) - 2 * limit)
    return result


def smooth(values: Floats) -> Floats:
    """0 below 0, 1 above 1, and a soft step between."""
    clipped = np.clip(values, 0, 1)
    result: Floats = clipped * clipped * (3 - 2 * clipped)
    return result
