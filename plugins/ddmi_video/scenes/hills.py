"""Silhouettes of hills."""

from __future__ import annotations

import numpy as np
from attrs import frozen

from ddmi_video.scenes.scene import Floats, centres

COLUMNS = 4  # samples of the outline a pixel


@frozen
class Ridge:
    """A line of hills: everything below its outline."""

    base: float  # mean height, as y
    swings: tuple[tuple[float, float, float], ...]  # amplitude, wave number and phase of each wave of the outline

    @property
    def top(self) -> float:
        """A y above which there are no hills."""
        return self.base - sum(amplitude for amplitude, _, _ in self.swings)

    def cover(self, size: int) -> Floats:
        """Share of each pixel that the hills cover: `(size, size)`."""
        x = centres(size * COLUMNS)
        outline = self.base + sum(a * np.cos(k * x + phase) for a, k, phase in self.swings)
        lower = np.linspace(-1, 1, size + 1)[1:, None]
        share = np.clip((lower - outline) * (size / 2), 0, 1)
        result: Floats = share.reshape(size, size, COLUMNS).mean(axis=-1).astype(np.float32)
        return result
