"""Layers of clouds: sums of plane waves on a ceiling that is seen in perspective, each carried by its wind."""

from __future__ import annotations

import math

import numpy as np
from attrs import frozen

from ddmi_video.scenes.draws import draws
from ddmi_video.scenes.scene import Doubles, Floats, centres, smooth

WAVES = 40
LENGTHS = (0.7, 2.2)  # of waves of scale 1
SLOPE = 0.9  # amplitude grows with the length to this power
BLUR = 0.028  # in the picture; keeps far clouds, which perspective makes small, from flickering
LIGHT = (0.45, -0.9)  # where clouds are lit from, in the picture
RELIEF = 0.2  # how much darker their far sides are
VANISHING = 2.6  # y at which the ceiling would end
TURN = (2.9, 14.0)  # across and along the ceiling, so that clouds are one to three times as wide as high


def on_ceiling(right: float, down: float, y: float) -> tuple[float, float]:
    """A wind on the ceiling from what it is in the picture, at a height and in the picture's middle."""
    depth = 1 / (VANISHING - y)
    return (right * TURN[0] * depth, down * TURN[1] * depth**2)


@frozen
class Layer:
    """One layer of clouds; winds are in units of the ceiling, about half a picture, a half clip."""

    number: int  # of the scene
    order: int  # 0 is the farthest
    scale: float  # size of the clouds
    stretch: float  # how much longer they are from side to side
    cover: float  # the share of the sky that is covered grows with it; 0 covers a half
    softness: float  # width of their edges
    opacity: float
    wind: tuple[float, float]  # to the right, and away from us
    boiling: float  # how fast they change their form

    def ceiling(self, x: Doubles, y: Doubles) -> tuple[Doubles, Doubles]:
        """Where places of the picture are on the ceiling."""
        depth = 1 / (VANISHING - y)
        return TURN[0] * x * depth, TURN[1] * depth

    def density(self, times: Doubles, size: int) -> tuple[Floats, Floats]:
        """How much of what lies behind each pixel is hidden, and how much of the cloud is lit there.

        Args:
            times: `(T,)`.
            size: rows and columns.

        Returns:
            both `(T, size, size)`, in [0, 1].
        """
        waves, amplitude, phase, drift = self._waves()
        x, y = centres(size)[None, :], centres(size)[:, None]
        across, along = self.ceiling(x, y)
        angle = waves[:, 0, None, None] * across + waves[:, 1, None, None] * along + phase[:, None, None]
        # Wave numbers in the picture, at its middle: perspective shortens waves towards the horizon.
        depth = 1 / (VANISHING - y)
        right = waves[:, 0, None, None] * TURN[0] * depth
        down = waves[:, 1, None, None] * TURN[1] * depth**2
        strength = amplitude[:, None, None] * np.exp(-(right**2 + down**2) * (BLUR**2 / 2))
        slope = strength * (LIGHT[0] * right + LIGHT[1] * down)
        cosine, sine = np.cos(angle).reshape(WAVES, -1), np.sin(angle).reshape(WAVES, -1)
        turned = drift[None, :] * times[:, None]
        # cos(a - b) = cos a cos b + sin a sin b: times and places are apart, so all frames are one product.
        basis = np.concatenate([np.cos(turned), np.sin(turned)], axis=1)
        shape = (len(times), size, size)

        def product(even: Doubles, odd: Doubles, weight: Doubles) -> Floats:
            wide = np.broadcast_to(weight, (WAVES, size, size)).reshape(WAVES, -1)
            result: Floats = (basis @ np.concatenate([wide * even, wide * odd])).reshape(shape).astype(np.float32)
            return result

        height = product(cosine, sine, strength)
        rise = product(-sine, cosine, slope)
        hidden = smooth((height + np.float32(self.cover)) / np.float32(self.softness) + np.float32(0.5))
        lit = np.clip(np.float32(0.62) + np.float32(RELIEF * self.scale) * rise, 0, 1)
        return hidden * np.float32(self.opacity), lit

    def _waves(self) -> tuple[Doubles, Doubles, Doubles, Doubles]:
        """Wave numbers `(K, 2)`, amplitudes, phases, and turns a unit of time `(K,)`; the sum's variance is 1."""
        draw = draws(self.number, 1 + self.order)
        shortest, longest = LENGTHS
        lengths = shortest * (longest / shortest) ** ((np.arange(WAVES) + draw.random(WAVES)) / WAVES)
        angles = math.pi * (draw.permutation(WAVES) + draw.random(WAVES)) / WAVES
        numbers = 2 * math.pi / (lengths * self.scale)
        waves = np.stack([np.cos(angles) / self.stretch, np.sin(angles)], axis=1) * numbers[:, None]
        amplitude = lengths**SLOPE
        amplitude *= math.sqrt(2) / np.sqrt((amplitude**2).sum())
        phase = 2 * math.pi * draw.random(WAVES)
        drift = waves @ np.asarray(self.wind) + self.boiling * draw.standard_normal(WAVES)
        return waves, amplitude, phase, drift
