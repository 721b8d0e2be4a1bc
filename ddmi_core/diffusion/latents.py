"""Latents as flat vectors, and their normalisation."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod

import torch
from attrs import field, frozen
from torch import Tensor

from ddmi_core.fields.planes import Planes


def _as_grids(grids: Iterable[Iterable[int]]) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(grid) for grid in grids)


@frozen
class LatentShape:
    """Channels and grid of each plane of a latent."""

    channels: int
    grids: tuple[tuple[int, ...], ...] = field(converter=_as_grids)

    @staticmethod
    def of(planes: Planes) -> LatentShape:
        """Shape of the given latents."""
        return LatentShape(planes[0].shape[1], tuple(tuple(plane.shape[2:]) for plane in planes))

    @property
    def length(self) -> int:
        """Number of elements of a flat latent, L."""
        return self.channels * sum(prod(grid) for grid in self.grids)

    def pack(self, planes: Planes) -> Tensor:
        """Flatten planes `(B, C, *grid)` to one tensor `(B, L)`."""
        return torch.cat([plane.flatten(1) for plane in planes], dim=1)

    def unpack(self, flat: Tensor) -> Planes:
        """The inverse of `pack`."""
        sizes = [self.channels * prod(grid) for grid in self.grids]
        return Planes(
            part.reshape(len(flat), self.channels, *grid)
            for part, grid in zip(torch.split(flat, sizes, dim=1), self.grids, strict=True)
        )


@frozen(eq=False)
class Normalisation:
    """Mean and standard deviation of each plane and channel over the training latents."""

    mean: Tensor  # (L,)
    std: Tensor  # (L,)

    @staticmethod
    def fit(flat: Tensor, shape: LatentShape, spread: Tensor | None = None) -> Normalisation:
        """Statistics of latents `(N, L)`, equal for all cells of a plane and channel.

        Args:
            flat: the latents, or the means of their distributions.
            shape: of the latents.
            spread: `(1, L)`, mean of the variances of these distributions, which their draws have in addition.
        """
        means, stds = [], []
        spreads = shape.unpack(flat.new_zeros(1, shape.length) if spread is None else spread)
        for plane, more in zip(shape.unpack(flat), spreads, strict=True):
            rows = plane.transpose(0, 1).flatten(1).double()  # (C, N * cells)
            cells = prod(plane.shape[2:])
            means.append(rows.mean(dim=1).repeat_interleave(cells))
            std = rows.std(dim=1, correction=0)
            if spread is not None:
                std = (std.square() + more[0].flatten(1).double().mean(dim=1)).sqrt()
            stds.append(std.clamp_min(1e-6).repeat_interleave(cells))
        return Normalisation(torch.cat(means).float(), torch.cat(stds).float())

    def to(self, device: torch.device) -> Normalisation:
        """The same statistics on a device."""
        return Normalisation(self.mean.to(device), self.std.to(device))

    def apply(self, flat: Tensor) -> Tensor:
        """Normalise latents `(B, L)` to zero mean and unit variance."""
        return (flat - self.mean) / self.std

    def invert(self, flat: Tensor) -> Tensor:
        """Map normalised latents `(B, L)` back to the autoencoder's units."""
        return flat * self.std + self.mean
