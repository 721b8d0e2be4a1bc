"""The interface of procedural scenes, and what they share: random numbers, coordinates and supersampling."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from attrs import field, frozen, validators

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Pixels = npt.NDArray[np.uint8]

SEED = 48016  # of all scenes; a different seed gives different scenes
LEAST = 48  # pixels; smaller pictures are averaged from larger ones
PIXEL_A_FRAME = 1 / 3  # one pixel per frame, for 16 frames of 48 x 48, as a speed in coordinates


@frozen
class Scene(ABC):
    """An animated scene, defined at every time and at every resolution.

    The coordinates x (to the right), y (down) and the time t are in [-1, 1].
    """

    number: int = field(validator=validators.ge(0))

    @property
    @abstractmethod
    def kind(self) -> str:
        """The class."""

    @property
    @abstractmethod
    def captions(self) -> tuple[str, ...]:
        """Two to four accurate captions; the first names only the class."""

    @property
    @abstractmethod
    def key(self) -> str:
        """Group for the split: scenes with equal keys stay on the same side."""

    @property
    @abstractmethod
    def mirrored(self) -> bool:
        """Whether the mirror image is valid too: no caption mentions left or right."""

    @property
    def name(self) -> str:
        """Class and number, such as `sunset-0042`; `catalogue.scene` accepts it."""
        return f"{self.kind}-{self.number:04d}"

    @abstractmethod
    def paint(self, times: Doubles, size: int) -> Floats:
        """RGB values `(T, 3, size, size)` from 0 to 255; each pixel is the mean over its area."""

    def draw(self, times: Sequence[float] | Doubles, size: int) -> Pixels:
        """Render frames at the given times.

        Args:
            times: T times in [-1, 1]; frame i of n is at (2i + 1) / n - 1.
            size: rows and columns, at least 1.

        Returns:
            `(T, 3, size, size)`, RGB, top row first.

        Raises:
            ValueError: if a time is out of range, or `size` is below 1.
        """
        moments = np.asarray(times, dtype=np.float64).reshape(-1)
        if size < 1:
            raise ValueError(f"size={size} pixels cannot be drawn; give at least 1")
        if not (np.abs(moments) <= 1).all():
            raise ValueError(f"times from {moments.min():g} to {moments.max():g} are not all in [-1, 1]")
        factor = supersampling(size, LEAST)
        picture = mean(self.paint(moments, size * factor), factor)
        return np.clip(np.rint(picture), 0, 255).astype(np.uint8)


def draws(number: int, part: int = 0) -> np.random.Generator:
    """The random generator of a scene, or of one part of a scene; the same on every machine."""
    return np.random.Generator(np.random.PCG64([SEED, number, part]))


def still(colours: Doubles, times: Doubles, size: int) -> Floats:
    """A clip `(T, 3, size, size)` of one picture, whose RGB values broadcast to `(3, size, size)`, clipped to 255."""
    clip = np.empty((len(times), 3, size, size), dtype=np.float32)
    clip[:] = np.minimum(colours, 255)
    return clip


def rgb(colour: Sequence[int]) -> Floats:
    """A colour that broadcasts over a picture: `(3, 1, 1)`."""
    return np.array(colour, dtype=np.float32)[:, None, None]


def supersampling(size: int, least: int) -> int:
    """Samples per pixel along each axis, for at least `least` samples over the picture."""
    return max(1, -(-least // size))


def mean(values: Floats, factor: int) -> Floats:
    """Average over blocks of `factor` x `factor` in the last two dimensions."""
    if factor == 1:
        return values
    *_, rows, columns = values.shape
    blocks = values.reshape(*values.shape[:-2], rows // factor, factor, columns // factor, factor)
    result: Floats = blocks.mean(axis=(-3, -1))
    return result


def centres(size: int) -> Doubles:
    """Coordinates of the centres of `size` cells, in [-1, 1]."""
    return (2 * np.arange(size) + 1) / size - 1


def folded(way: Doubles, limit: float) -> Doubles:
    """Triangle wave: the position in [-limit, limit] after travelling `way` from -limit, reflected at both ends."""
    result: Doubles = limit - np.abs(np.mod(way, 4 * limit) - 2 * limit)
    return result


def smooth(values: Floats) -> Floats:
    """Smoothstep: 0 below 0, 1 above 1, 3x^2 - 2x^3 between."""
    clipped = np.clip(values, 0, 1)
    result: Floats = clipped * clipped * (3 - 2 * clipped)
    return result
