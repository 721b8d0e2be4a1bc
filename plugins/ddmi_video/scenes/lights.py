"""Sun, moon and stars: discs and dots that move over the sky."""

from __future__ import annotations

import numpy as np
from attrs import frozen

from ddmi_video.scenes.scene import Doubles, Floats, centres

Path = tuple[Doubles, Doubles]  # x and y at each time


@frozen
class Disc:
    """A disc on a straight way, bent downwards on both sides of its middle."""

    radius: float
    place: tuple[float, float]  # at time 0
    speed: tuple[float, float]
    bend: float = 0.0
    bite: tuple[float, float] = (0.0, 0.0)  # offset of a second disc that hides a part, in radii; 0 for none

    def path(self, times: Doubles) -> Path:
        """Where it is."""
        (x, y), (right, down) = self.place, self.speed
        return x + right * times, y + down * times + self.bend * times**2

    def cover(self, times: Doubles, size: int) -> Floats:
        """Share of each pixel that it covers: `(T, size, size)`."""
        x, y = self.path(times)
        whole = _inside(distance((x, y), size), self.radius, size)
        if self.bite == (0.0, 0.0):
            return whole
        hidden = (x + self.radius * self.bite[0], y + self.radius * self.bite[1])
        return whole * (1 - _inside(distance(hidden, size), self.radius, size))

    def glow(self, times: Doubles, size: int, width: float) -> Floats:
        """Light around it, 1 in its middle and half of it `width` away: `(T, size, size)`."""
        away = distance(self.path(times), size) * np.float32(1 / width)
        result: Floats = np.reciprocal(1 + away * away)
        return result


def stars(places: tuple[tuple[float, float, float], ...], shift: Path, radius: float, size: int) -> Floats:
    """Light of soft dots.

    Args:
        places: x, y and brightness at time 0.
        shift: how far they have moved, at each of T times.
        radius: where their light ends.
        size: rows and columns.

    Returns:
        `(T, size, size)`
    """
    light = np.zeros((len(shift[0]), size, size), dtype=np.float32)
    for x, y, brightness in places:
        away = distance((x + shift[0], y + shift[1]), size) * np.float32(1 / radius)
        fall = np.maximum(1 - away * away, 0)
        light += np.float32(brightness) * fall * fall
    return light


def distance(path: Path, size: int) -> Floats:
    """Distance of each pixel's middle from the places on a path: `(T, size, size)`."""
    middles = centres(size)
    across = ((middles[None, :] - path[0][:, None]) ** 2).astype(np.float32)
    down = ((middles[None, :] - path[1][:, None]) ** 2).astype(np.float32)
    result: Floats = np.sqrt(across[:, None, :] + down[:, :, None])
    return result


def _inside(away: Floats, radius: float, size: int) -> Floats:
    result: Floats = np.clip((np.float32(radius) - away) * np.float32(size / 2) + np.float32(0.5), 0, 1)
    return result
