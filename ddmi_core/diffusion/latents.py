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
class Moments:
    """Sums over latents, from which their `Normalisation` follows; those of parts of a set can be merged."""

    count: int  # latents
    mean: Tensor  # (P, C), float64: of each plane and channel
    squares: Tensor  # (P, C), float64: sums of squared deviations from the mean
    variances: Tensor  # (P, C), float64: sums of the variances of the latents' distributions

    @staticmethod
    def of(flat: Tensor, shape: LatentShape, variances: Tensor | None = None) -> Moments:
        """Sums over latents `(N, L)`, N > 0.

        Args:
            flat: the latents, or the means of their distributions.
            shape: of the latents.
            variances: `(N, L)`, of these distributions, which their draws have in addition.
        """
        rows = [_channels(plane) for plane in shape.unpack(flat)]
        means = torch.stack([row.mean(dim=1) for row in rows])
        added = torch.zeros_like(means)
        if variances is not None:
            added = torch.stack([_channels(plane).sum(dim=1) for plane in shape.unpack(variances)])
        squares = [(row - row.mean(dim=1, keepdim=True)).square().sum(dim=1) for row in rows]
        return Moments(len(flat), means, torch.stack(squares), added)

    def merged(self, other: Moments, shape: LatentShape) -> Moments:
        """Sums over both sets (Chan, Golub and LeVeque, 1983: Algorithms for computing the sample variance)."""
        count = self.count + other.count
        apart = other.mean - self.mean
        cells = apart.new_tensor([prod(grid) for grid in shape.grids]).unsqueeze(1)
        return Moments(
            count,
            self.mean + apart * (other.count / count),
            self.squares + other.squares + apart.square() * cells * (self.count * other.count / count),
            self.variances + other.variances,
        )


def _channels(plane: Tensor) -> Tensor:
    """Values of each channel, `(C, N * cells)`, in double precision."""
    return plane.transpose(0, 1).flatten(1).double()


@frozen(eq=False)
class Normalisation:
    """Mean and standard deviation of each plane and channel over the training latents."""

    mean: Tensor  # (L,)
    std: Tensor  # (L,)

    @staticmethod
    def of(moments: Moments, shape: LatentShape) -> Normalisation:
        """Statistics from sums over latents, equal for all cells of a plane and channel."""
        cells = [prod(grid) for grid in shape.grids]
        values = moments.mean.new_tensor(cells).unsqueeze(1) * moments.count
        stds = ((moments.squares + moments.variances) / values).sqrt().clamp_min(1e-6)
        mean, std = (
            torch.cat([row.repeat_interleave(number) for row, number in zip(table, cells, strict=True)]).float()
            for table in (moments.mean, stds)
        )
        return Normalisation(mean, std)

    @staticmethod
    def fit(flat: Tensor, shape: LatentShape) -> Normalisation:
        """Statistics of latents `(N, L)`."""
        return Normalisation.of(Moments.of(flat, shape), shape)

    def to(self, device: torch.device) -> Normalisation:
        """The same statistics on a device."""
        return Normalisation(self.mean.to(device), self.std.to(device))

    def apply(self, flat: Tensor) -> Tensor:
        """Normalise latents `(B, L)` to zero mean and unit variance."""
        return (flat - self.mean) / self.std

    def invert(self, flat: Tensor) -> Tensor:
        """Map normalised latents `(B, L)` back to the autoencoder's units."""
        return flat * self.std + self.mean
