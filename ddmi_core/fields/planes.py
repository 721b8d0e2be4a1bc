"""Feature grids, one a plane: the form of latents and of basis fields."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor


class Planes(tuple[Tensor, ...]):
    """A tuple of tensors, one `(B, C, *grid)` a plane.

    Planes may differ in size. A plane of two axes has the grid `(H, W)`, a line has `(W,)`.

    Example:
        >>> Planes([torch.zeros(2, 4, 8, 8), torch.zeros(2, 4, 8, 8)]).stacked().shape
        torch.Size([2, 2, 4, 8, 8])
    """

    __slots__ = ()

    def __new__(cls, tensors: Iterable[Tensor]) -> Planes:
        """Collect one tensor a plane."""
        return super().__new__(cls, tuple(tensors))

    @property
    def batch(self) -> int:
        """Number of signals, B."""
        return self[0].shape[0]

    def map(self, function: Callable[[Tensor], Tensor]) -> Planes:
        """Apply a function to each plane."""
        return Planes(function(plane) for plane in self)

    def stacked(self) -> Tensor:
        """One tensor `(B, P, C, H, W)`; a line has H = 1.

        Raises:
            ValueError: if the planes differ in size.
        """
        maps = [plane if plane.ndim == 4 else plane.unsqueeze(2) for plane in self]
        if len({plane.shape for plane in maps}) > 1:
            sizes = ", ".join(str(tuple(plane.shape[1:])) for plane in maps)
            raise ValueError(f"planes of different sizes cannot be stacked: {sizes}")
        return torch.stack(maps, dim=1)
