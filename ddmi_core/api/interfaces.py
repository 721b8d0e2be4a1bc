"""Abstract parts of a domain: encoder, basis-field decoder, coordinate sampler and renderer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

from ddmi_core.api.observations import known, select
from ddmi_core.api.signals import Queries
from ddmi_core.errors import ConfigError
from ddmi_core.fields.field import Field
from ddmi_core.fields.planes import Planes, Posterior

S = TypeVar("S", contravariant=True)  # signal
V = TypeVar("V", contravariant=True)  # view
A = TypeVar("A", covariant=True)  # artefact


class Encoder(nn.Module, ABC, Generic[S]):
    """Maps a signal to a posterior over latents.

    It raises `DataError` for signals that it cannot encode, such as an empty point cloud. They can still be
    completed.

    Example:
        >>> class Mean(Encoder):
        ...     def __init__(self) -> None:
        ...         super().__init__()
        ...         self.project = nn.Conv1d(1, 2 * 4, kernel_size=8, stride=8)
        ...     def forward(self, signal) -> Posterior:
        ...         mean, log_variance = self.project(signal.samples).chunk(2, dim=1)
        ...         return Posterior(Planes([mean]), Planes([log_variance]))
    """

    @abstractmethod
    def forward(self, signal: S) -> Posterior:
        """Posterior with one latent `(B, C, *grid)` for each plane of the layout."""


class BasisFieldDecoder(nn.Module, ABC):
    """Maps a latent to basis fields.

    Attributes:
        channels: C_s of each scale, coarse to fine; they determine the input widths of the readout.
    """

    channels: tuple[int, ...]

    @abstractmethod
    def forward(self, latent: Planes) -> tuple[Planes, ...]:
        """Basis fields: one `Planes` of `(B, C_s, *grid_s)` per scale, coarse to fine."""


class CoordinateSampler(ABC, Generic[S]):
    """Draws the coordinates at which training compares a field with its signal.

    Attributes:
        labels: names of columns of `places`, in addition to the axes, that regions can select by. Each is a tensor
            `(B, N)` of this name in a subclass of `Queries`.
        most_places: default maximum number of known places of a signal that completions use.
    """

    labels: tuple[str, ...] = ()
    most_places: int = 16384

    @abstractmethod
    def sample(self, signal: S, n: int, generator: torch.Generator) -> Queries:
        """About `n` random coordinates per signal, with targets.

        The same generator state gives the same queries. Drawn by `per_row` and `shared`, those of a signal do not
        depend on the number of processes.
        """

    def block(self, signal: S, shape: Sequence[int], generator: torch.Generator) -> Queries:
        """A regular patch at a random place of each signal, for terms on patches beside scattered coordinates.

        Samplers of regular grids define it.

        Args:
            signal: signals.
            shape: cells along each axis, slowest first; at most those of the grid are drawn.
            generator: random generator.

        Raises:
            ConfigError: if the sampler has no patches.
        """
        raise ConfigError(
            f"autoencoder.patch={list(shape)} cannot act: the coordinates of this domain form no regular patch. Fix: "
            "set autoencoder.patch=[], without terms on patches"
        )

    def places(self, signal: S, most: int, generator: torch.Generator) -> Queries:
        """Distinct places at which a signal is known, with targets; by default those of weight > 0 that `sample` draws.

        Args:
            signal: one signal, B = 1.
            most: maximum number of places.
            generator: random generator.
        """
        queries = known(self.sample(signal, most, generator))
        rows = torch.cat([queries.coords[0], queries.extra[0]], dim=1)
        different, number = torch.unique(rows, dim=0, return_inverse=True)
        first = torch.full((len(different),), len(rows), device=rows.device)
        first = first.scatter_reduce(0, number, torch.arange(len(rows), device=rows.device), "amin")
        return select(queries, first.sort().values[:most])


class Renderer(ABC, Generic[V, A]):
    """Forward model of measurements (`observe`) and rendering of artefacts (`render`).

    Attributes:
        evaluations: approximate number of field evaluations per query, used to bound memory.
        limits: lowest and highest value of signals.
    """

    evaluations: int = 1
    limits: tuple[float, float] = (-1.0, 1.0)

    @abstractmethod
    def observe(self, field: Field, queries: Queries) -> Tensor:
        """Predicted measurements at the queries, `(B, N, V)`; differentiable in the field.

        The V columns are the field's values, or those of `DomainParts.observed`.
        """

    @abstractmethod
    def render(self, field: Field, view: V | None = None) -> A:
        """An artefact of one field (B = 1), without gradients and with bounded memory.

        Args:
            field: a batch of one.
            view: what to render; for grids the size `(rows, columns, ...)`. `None` means the native view.
        """
