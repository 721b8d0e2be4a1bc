"""Feature grids on planes (latents, basis fields), and the Gaussian posterior over latents."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from attrs import frozen
from torch import Tensor

from ddmi_core.display import short
from ddmi_core.draws import normal_like


class Planes(tuple[Tensor, ...]):
    """A tuple of tensors, one `(B, C, *grid)` per plane.

    Planes may differ in size. A plane of two axes has the grid `(H, W)`, a line has `(W,)`.

    Example:
        >>> Planes([torch.zeros(2, 4, 8, 8), torch.zeros(2, 4, 8, 8)]).stacked().shape
        torch.Size([2, 2, 4, 8, 8])
    """

    __slots__ = ()

    def __new__(cls, tensors: Iterable[Tensor]) -> Planes:
        """Collect one tensor per plane."""
        return super().__new__(cls, tuple(tensors))

    def __repr__(self) -> str:
        """Types and shapes, not values."""
        return f"Planes({', '.join(map(short, self))})"

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
            raise ValueError(f"cannot stack planes of different sizes: {sizes}")
        return torch.stack(maps, dim=1)


@frozen(eq=False)
class Posterior:
    """Diagonal Gaussian over latents, `q(z | signal)`."""

    mean: Planes  # one (B, C, *grid) per plane
    log_variance: Planes  # the same shapes

    def sample(self, generator: torch.Generator | None = None) -> Planes:
        """Draw `mean + exp(log_variance / 2) * noise`, differentiable in both parameters."""
        noises = (normal_like(m, generator) for m in self.mean)
        parts = zip(self.mean, self.log_variance, noises, strict=True)
        return Planes(mean + torch.exp(0.5 * log_variance) * noise for mean, log_variance, noise in parts)

    def kl(self) -> Tensor:
        """KL divergence from the standard normal for each signal, `(B,)`: `sum (mean^2 + var - 1 - log var) / 2`."""
        terms = [
            (m.square() + v.exp() - 1 - v).flatten(1).sum(dim=1)
            for m, v in zip(self.mean, self.log_variance, strict=True)
        ]
        return 0.5 * torch.stack(terms).sum(dim=0)
