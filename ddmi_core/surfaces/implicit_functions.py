"""Implicit functions whose zero level is a surface: a field, or any differentiable function of points."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ddmi_core.fields.field import Field

Floats = npt.NDArray[np.float32]
Index = npt.NDArray[np.int64]
OfPoints = Callable[[Tensor], Tensor]
OfIndices = Callable[[Index], Floats]

CHUNK = 65536  # points evaluated at once


class ImplicitFunction(Protocol):
    """A function that is positive inside a solid, and its gradient."""

    def values(self, points: Floats) -> Floats:
        """Values `(N,)` at points `(N, 3)`, columns x, y, z."""

    def slopes(self, points: Floats) -> tuple[Floats, Floats]:
        """Values `(N,)` and derivatives `(N, 3)` with respect to x, y and z, at points `(N, 3)`."""

    def subset(self, axes: Sequence[Floats]) -> OfIndices:
        """A function from lattice indices `(3, N)`, rows x, y, z, to values `(N,)`."""


class FieldFunction:
    """One field (B = 1) over x, y and z with one value, evaluated by the fast paths of `ddmi_core.fields`."""

    def __init__(self, field: Field) -> None:
        self._field = field

    @cached_property
    def _points(self) -> Any:
        return self._field.points()  # only normals and vertices need it

    def values(self, points: Floats) -> Floats:
        """Values `(N,)` at points `(N, 3)`."""
        found: Floats = self._points.at(torch.from_numpy(points))[:, 0].cpu().numpy()
        return found

    def slopes(self, points: Floats) -> tuple[Floats, Floats]:
        """Values `(N,)` and derivatives `(N, 3)` at points `(N, 3)`."""
        values, slopes = (part[:, 0].cpu().numpy() for part in self._points.slopes(torch.from_numpy(points)))
        return values, slopes

    def subset(self, axes: Sequence[Floats]) -> OfIndices:
        """A function from lattice indices `(3, N)` to values `(N,)`."""
        some = self._field.lattice_subset([torch.from_numpy(axis) for axis in axes])

        def at(indices: Index) -> Floats:
            found: Floats = some.at(torch.from_numpy(indices))[0].cpu().numpy()
            return found

        return at


class PointFunction:
    """A function of points `(N, 3)` with values `(N,)`, differentiable by torch."""

    def __init__(self, function: OfPoints) -> None:
        self._function = function

    @torch.no_grad()
    def values(self, points: Floats) -> Floats:
        """Values `(N,)` at points `(N, 3)`."""
        parts = [self._function(part).float().cpu().numpy() for part in torch.split(torch.from_numpy(points), CHUNK)]
        return np.concatenate(parts)

    @torch.enable_grad()
    def slopes(self, points: Floats) -> tuple[Floats, Floats]:
        """Values `(N,)` and derivatives `(N, 3)` at points `(N, 3)`."""
        values, slopes = [], []
        for part in torch.split(torch.from_numpy(points), CHUNK):
            part = part.clone().requires_grad_()
            value = self._function(part)
            (slope,) = torch.autograd.grad(value.sum(), part)
            values.append(value.detach().float().cpu().numpy())
            slopes.append(slope.cpu().numpy())
        return np.concatenate(values), np.concatenate(slopes)

    def subset(self, axes: Sequence[Floats]) -> OfIndices:
        """A function from lattice indices `(3, N)` to values `(N,)`."""

        def at(indices: Index) -> Floats:
            points = np.stack([axis[index] for axis, index in zip(axes, indices, strict=True)], axis=1)
            return self.values(points)

        return at
