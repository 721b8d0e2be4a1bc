"""What surfaces are extracted from: a field's fast paths, or any differentiable function of points."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ddmi_core.api import Field

Floats = npt.NDArray[np.float32]
Index = npt.NDArray[np.int64]
Logits = Callable[[Tensor], Tensor]
OfIndices = Callable[[Index], Floats]

CHUNK = 65536


class Solid(Protocol):
    """A function that is positive inside a solid, and its slopes."""

    def values(self, points: Floats) -> Floats:
        """Values `(N,)` at points `(N, 3)`, columns x, y, z."""

    def slopes(self, points: Floats) -> Floats:
        """Derivatives `(N, 3)` in x, y and z."""

    def subset(self, axes: Sequence[Floats]) -> OfIndices:
        """A function of indices `(3, N)`, from 0 along x, y and z, that gives values `(N,)` at points of a lattice."""


class FieldSolid:
    """The only value of one field (B = 1) over x, y and z."""

    def __init__(self, field: Field) -> None:
        self._field = field

    @cached_property
    def _points(self) -> Any:
        return self._field.points()  # many surfaces need it for normals alone

    def values(self, points: Floats) -> Floats:
        """Values `(N,)` at points `(N, 3)`."""
        found: Floats = self._points.at(torch.from_numpy(points))[:, 0].cpu().numpy()
        return found

    def slopes(self, points: Floats) -> Floats:
        """Derivatives `(N, 3)`."""
        found: Floats = self._points.slopes(torch.from_numpy(points))[1][:, 0].cpu().numpy()
        return found

    def subset(self, axes: Sequence[Floats]) -> OfIndices:
        """Values of a lattice by indices."""
        some = self._field.lattice_subset([torch.from_numpy(axis) for axis in axes])

        def at(indices: Index) -> Floats:
            found: Floats = some.at(torch.from_numpy(indices))[0].cpu().numpy()
            return found

        return at


class FunctionSolid:
    """Any function of points `(N, 3)` that gives logits `(N,)`, differentiable by torch."""

    def __init__(self, logits: Logits) -> None:
        self._logits = logits

    @torch.no_grad()
    def values(self, points: Floats) -> Floats:
        """Values `(N,)` at points `(N, 3)`."""
        parts = [self._logits(part).float().cpu().numpy() for part in torch.split(torch.from_numpy(points), CHUNK)]
        return np.concatenate(parts)

    @torch.enable_grad()
    def slopes(self, points: Floats) -> Floats:
        """Derivatives `(N, 3)`."""
        parts = []
        for part in torch.split(torch.from_numpy(points), CHUNK):
            part = part.clone().requires_grad_()
            (slope,) = torch.autograd.grad(self._logits(part).sum(), part)
            parts.append(slope.cpu().numpy())
        return np.concatenate(parts)

    def subset(self, axes: Sequence[Floats]) -> OfIndices:
        """Values of a lattice by indices."""

        def at(indices: Index) -> Floats:
            points = np.stack([axis[index] for axis, index in zip(axes, indices, strict=True)], axis=1)
            return self.values(points)

        return at
