"""A set of solid shapes, stored as quantised points."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ddmi_core.api import DivisibleSet, normal_like, per_row, shared
from ddmi_occupancy.data.sampling import NORMAL_STEPS, STEPS, Clouds
from ddmi_occupancy.signal import ShapeSignal


class ShapeSet(DivisibleSet):
    """Shapes as points on their surfaces and points in space.

    Batches with a generator are augmented: they contain a random subset of the surface points, and each shape that may
    be mirrored is reflected in x with probability 1/2. The surface points have the given noise.

    Args:
        clouds: points of at least as many shapes as the set has.
        weights: `(Q,)`, see `ShapeSignal`.
        names: one unique name per shape.
        shown: surface points per shape in a batch; at most as many as are stored.
        rows: rows of the shapes in `clouds`; 0, 1, ... by default.
        classes: names of the classes.
        labels: class of each shape; 0 by default.
        captions: sentences about each shape; none by default.
        mirrored: whether each shape may be mirrored; false by default.
        noise: standard deviation of the noise of surface points in augmented batches.

    Raises:
        ValueError: if the numbers of names, rows, labels, captions and shapes do not match.
    """

    def __init__(
        self,
        clouds: Clouds,
        weights: npt.NDArray[np.float32],
        names: Sequence[str],
        shown: int,
        *,
        rows: Sequence[int] | None = None,
        classes: Sequence[str] = (),
        labels: Sequence[int] | None = None,
        captions: Sequence[Sequence[str]] = (),
        mirrored: Sequence[bool] = (),
        noise: float = 0.0,
    ) -> None:
        count = len(names)
        self.clouds, self.weights, self.shown, self.noise = clouds, weights, shown, noise
        self.names, self.classes = tuple(map(str, names)), tuple(map(str, classes))
        self.rows = np.arange(count) if rows is None else np.asarray(rows, dtype=np.int64)
        self.labels = torch.tensor([0] * count if labels is None else list(labels), dtype=torch.long)
        self.captions = tuple(map(tuple, captions))
        self.mirrored = torch.tensor(list(mirrored) or [False] * count, dtype=torch.bool)
        lengths = {"row": len(self.rows), "label": len(self.labels), "mirrored": len(self.mirrored)}
        if captions:
            lengths["caption tuple"] = len(self.captions)
        for what, length in lengths.items():
            if length != count:
                raise ValueError(f"a set of {count} names requires one {what} per shape; got {length}")
        if count and not 0 <= self.rows.min() <= self.rows.max() < len(clouds.points):
            raise ValueError(
                f"rows {self.rows.min()} to {self.rows.max()} are out of range for {len(clouds.points)} shapes"
            )
        if not 1 <= shown <= clouds.surface.shape[1]:
            raise ValueError(f"shown={shown} is out of range: 1 to {clouds.surface.shape[1]} surface points are stored")

    def batch(self, indices: Sequence[int], generator: torch.Generator | None = None) -> ShapeSignal:
        """Shapes at the indices; augmented if there is a generator."""
        index = torch.as_tensor(indices, dtype=torch.long)
        rows, clouds = self.rows[index.numpy()], self.clouds
        chosen: Any = slice(self.shown)
        if generator is not None:
            order = torch.randperm(clouds.surface.shape[1], generator=shared(generator), device=generator.device)
            chosen = order[: self.shown].sort().values.cpu().numpy()
        inside = np.unpackbits(clouds.inside[rows], axis=1, count=clouds.points.shape[1])
        parts = [
            as_floats(clouds.surface[rows][:, chosen], STEPS),
            torch.nn.functional.normalize(as_floats(clouds.normals[rows][:, chosen], NORMAL_STEPS), dim=-1),
            as_floats(clouds.points[rows], STEPS),
        ]
        if generator is not None:
            chance = per_row(generator, len(index), lambda n, g: torch.rand(n, generator=g, device=g.device)).cpu()
            side = 1.0 - 2.0 * (self.mirrored[index] & (chance < 0.5)).float()
            for part in parts:
                part[..., 0] *= side[:, None]
            if self.noise:
                parts[0] += self.noise * normal_like(parts[0], generator)
        weights = torch.from_numpy(self.weights).expand(len(index), -1)
        surface, normals, points = parts
        return ShapeSignal(surface, normals, points, torch.from_numpy(inside), weights)

    def fingerprint(self) -> str:
        """SHA-256 of names, classes, labels, captions and points."""
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        contents = (self.names, self.classes, self.labels.tolist(), self.captions, self.shown)
        digest = hashlib.sha256(repr(contents).encode())
        digest.update(self.weights.astype("<f4").tobytes())
        clouds = self.clouds
        for row in self.rows:
            for part in (clouds.surface, clouds.normals, clouds.points, clouds.inside):
                digest.update(np.ascontiguousarray(part[row]).data)
        return digest.hexdigest()

    def part(self, indices: Sequence[int]) -> ShapeSet:
        """A subset that shares the points."""
        chosen = list(indices)
        return ShapeSet(
            self.clouds,
            self.weights,
            [self.names[i] for i in chosen],
            self.shown,
            rows=self.rows[chosen].tolist(),
            classes=self.classes,
            labels=self.labels[chosen].tolist(),
            captions=[self.captions[i] for i in chosen] if self.captions else (),
            mirrored=self.mirrored[chosen].tolist(),
            noise=self.noise,
        )


def as_floats(values: npt.NDArray[Any], steps: int) -> Tensor:
    """Quantised values as floats: multiples of 1 / steps."""
    return torch.from_numpy(values.astype(np.float32)).div_(steps)
