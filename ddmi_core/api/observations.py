"""Observations: what was measured of a signal, for fields that agree with it."""

from __future__ import annotations

from typing import Any

import attrs
import torch
from attrs import field, frozen
from torch import Tensor

from ddmi_core.api.signals import Queries
from ddmi_core.errors import RequestError


@frozen(eq=False)
class Observations:
    """Measured values of one signal, each seen at one place or as the mean over several.

    Args:
        queries: `(1, N, ...)`, the places; their targets, patch and weights are not looked at.
        values: `(M, V)`, measured: columns as the renderer's `observe` gives them. A domain whose fields give logits
            takes labels 0 and 1, or shares of them.
        cells: `(N,)`, whole numbers from 0 to M - 1: which value a place belongs to. Each value is the mean over its
            places. If left out, N = M and each place has its own.

    Raises:
        RequestError: if nothing is observed, the sizes do not fit, values are not finite, or a value has no place.

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
        """Check that sizes and numbers make sense."""
        batch, places = self.queries.coords.shape[:2]
        if not places or not len(self.values):
            raise RequestError("nothing is observed; give at least one place with its value")
        if batch != 1 or self.values.ndim != 2 or self.cells.shape != (places,):
            raise RequestError(
                f"observations of coords {tuple(self.queries.coords.shape)}, values {tuple(self.values.shape)} and "
                f"cells {tuple(self.cells.shape)} do not fit; give (1, N, D), (M, V) and (N,)"
            )
        if not bool(torch.isfinite(self.values).all()):
            raise RequestError("observed values are not all finite; leave out the places whose values are unknown")
        counts = self.cells.bincount(minlength=len(self.values)) if int(self.cells.min()) >= 0 else self.cells[:0]
        if len(counts) != len(self.values) or int(counts.min()) == 0:
            raise RequestError(f"cells must name each of the {len(self.values)} values, from 0, at least once")

    def __len__(self) -> int:
        """Number of measured values, M."""
        return len(self.values)

    @property
    def places(self) -> int:
        """Number of places, N."""
        return int(self.queries.coords.shape[1])

    def mean(self, shown: Tensor) -> Tensor:
        """What is shown at the places, `(B, N, V)`, as one row a measured value, `(B, M, V)`; differentiable."""
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
            extra: `(N, X)`; none if left out, which fields take for zeros.

        Raises:
            RequestError: as the class, or if coordinates leave [-1, 1].
        """
        if coords.numel() and not bool((coords.abs() <= 1).all()):
            raise RequestError("coordinates of observations must lie in [-1, 1]; bring them to the domain's axes")
        if extra is None:
            extra = coords.new_zeros(len(coords), 0)
        return Observations(Queries(coords[None], extra[None], values[None]), values)

    def kept(self, keep: Tensor) -> Observations:
        """Those at some of the places, `keep (N,)`, of values that are each measured at one place.

        Raises:
            RequestError: if none is left.
        """
        return Observations(taken(self.queries, keep), self.values[self.cells][keep])


def taken(queries: Queries, index: Tensor | slice) -> Queries:
    """Some of the places of queries, by a mask, by numbers or as a slice, whatever kind of queries they are."""
    places = queries.coords.shape[1]
    return _changed(queries, lambda part: part[:, index] if part.ndim > 1 and part.shape[1] == places else part)


def repeated(queries: Queries, batch: int) -> Queries:
    """Queries of one signal, asked of a batch of fields."""
    return _changed(queries, lambda part: part.expand(batch, *part.shape[1:]) if part.ndim and len(part) == 1 else part)


def _changed(queries: Queries, change: Any) -> Queries:
    parts = {part.name: getattr(queries, part.name) for part in attrs.fields(type(queries)) if part.init}
    changed = {name: change(value) for name, value in parts.items() if isinstance(value, Tensor)}
    return attrs.evolve(queries, **{**changed, "patch": ()})
