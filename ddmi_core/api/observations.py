"""Measurements of one signal, the input of completions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import torch
from attrs import field, frozen
from torch import Tensor

from ddmi_core.api.signals import Queries
from ddmi_core.errors import RequestError


@frozen(eq=False)
class Observations:
    """Measured values of one signal, each at one place or averaged over several places.

    Args:
        queries: `(1, N, ...)`, the places; their targets, patch and weights are ignored.
        values: `(M, V)`, measured values, with the columns of the renderer's `observe`. If fields give logits, values
            are labels 0 and 1, or means of labels.
        cells: `(N,)`, whole numbers from 0 to M - 1: index of the value that a place belongs to. Each value is the mean
            over its places. By default N = M and each place has its own value.

    Raises:
        RequestError: if there is no measurement, sizes do not match, values are not finite, or a value has no place.

    Example:
        >>> points = torch.tensor([[0.0, 0.0], [0.5, -0.5]])
        >>> seen = Observations.at(points, torch.tensor([[1.0], [-1.0]]))
        >>> len(seen), seen.queries.coords.shape
        (2, torch.Size([1, 2, 2]))
    """

    queries: Queries
    values: Tensor
    cells: Tensor = field()

    @cells.default
    def _each_its_own(self) -> Tensor:
        return torch.arange(len(self.values))

    def __attrs_post_init__(self) -> None:
        """Check sizes and values."""
        batch, places = self.queries.coords.shape[:2]
        if not places or not len(self.values):
            raise RequestError("nothing is observed. Fix: give at least one place with its value")
        if batch != 1 or self.values.ndim != 2 or self.cells.shape != (places,):
            raise RequestError(
                f"shapes of observations do not match: coords {tuple(self.queries.coords.shape)}, values "
                f"{tuple(self.values.shape)}, cells {tuple(self.cells.shape)}; expected (1, N, D), (M, V), (N,)"
            )
        if not bool(torch.isfinite(self.values).all()):
            raise RequestError("observed values are not all finite. Fix: omit places with unknown values")
        counts = self.cells.bincount(minlength=len(self.values)) if int(self.cells.min()) >= 0 else self.cells[:0]
        if len(counts) != len(self.values) or int(counts.min()) == 0:
            raise RequestError(
                f"cells must refer to each of the {len(self.values)} values, numbered from 0, at least once"
            )

    def __len__(self) -> int:
        """Number of measured values, M."""
        return len(self.values)

    @property
    def places(self) -> int:
        """Number of places, N."""
        return int(self.queries.coords.shape[1])

    def mean(self, shown: Tensor) -> Tensor:
        """Means over the places of each measured value, `(B, N, V) -> (B, M, V)`; differentiable."""
        if len(self) == self.places:
            return shown[:, self.cells.argsort()]
        counts = self.cells.bincount(minlength=len(self)).to(shown)
        sums = shown.new_zeros(len(shown), len(self), shown.shape[2]).index_add(1, self.cells, shown)
        return sums / counts[:, None]

    @staticmethod
    def at(coords: Tensor, values: Tensor, extra: Tensor | None = None) -> Observations:
        """Values `(N, V)` at coordinates `(N, D)` in [-1, 1].

        Args:
            coords: columns in the order of the layout's axes.
            values: measured.
            extra: `(N, X)`; zeros if omitted.

        Raises:
            RequestError: as for the class, or if coordinates are outside [-1, 1].
        """
        if coords.numel() and not bool((coords.abs() <= 1).all()):
            raise RequestError(
                "coordinates of observations must lie in [-1, 1]. Fix: normalise them to the domain's axes"
            )
        if extra is None:
            extra = coords.new_zeros(len(coords), 0)
        return Observations(Queries(coords[None], extra[None], values[None]), values)

    def kept(self, keep: Tensor) -> Observations:
        """The observations at some places, mask `keep (N,)`; each value must be measured at one place.

        Raises:
            RequestError: if no place remains.
        """
        return Observations(select(self.queries, keep), self.values[self.cells][keep])


def select(queries: Queries, index: Tensor | slice) -> Queries:
    """Queries at some of the places, selected by a mask, indices or a slice; keeps their class."""
    places = queries.coords.shape[1]
    return _map_tensors(queries, lambda part: part[:, index] if part.ndim > 1 and part.shape[1] == places else part)


def known(queries: Queries) -> Queries:
    """The queries of one signal whose weight is not zero."""
    return select(queries, (queries.weights > 0).expand(1, queries.coords.shape[1])[0])


def expand(queries: Queries, batch: int) -> Queries:
    """Queries of one signal, expanded to a batch of fields."""
    return _map_tensors(
        queries, lambda part: part.expand(batch, *part.shape[1:]) if part.ndim and len(part) == 1 else part
    )


def _map_tensors(queries: Queries, function: Callable[[Tensor], Tensor]) -> Queries:
    """Queries of the same class, with a function applied to each tensor, and without a patch."""
    parts = {part.name: getattr(queries, part.name) for part in attrs.fields(type(queries)) if part.init}
    changed: dict[str, Any] = {name: function(value) for name, value in parts.items() if isinstance(value, Tensor)}
    return attrs.evolve(queries, **{**changed, "patch": ()})
