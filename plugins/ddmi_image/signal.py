"""The signal of the image domain: pictures at the native size and, where known, at larger sizes."""

from __future__ import annotations

from attrs import frozen
from torch import Tensor


@frozen(eq=False)
class ImageSignal:
    """A batch of pictures.

    A larger level shows the same pictures with more detail: each native pixel is the mean of the level's
    pixels that it covers.
    """

    pixels: Tensor  # (B, 3, H, W), in [-1, 1], at the native size
    finer: tuple[Tensor, ...] = ()  # each (B, 3, k * H, k * W), k = 2, 4, ...; bytes 0 to 255 for [-1, 1]

    def levels(self) -> tuple[Tensor, ...]:
        """Pictures at each size, the native one first."""
        return (self.pixels, *self.finer)


def pixels(signal: ImageSignal) -> Tensor:
    """Pictures at the native size, `(B, 3, H, W)`, in [-1, 1]."""
    return signal.pixels
