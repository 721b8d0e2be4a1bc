"""Sets of solid shapes, kept as whole numbers."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ddmi_core.api import DivisibleSet
from ddmi_occupancy.sampling import NORMAL_STEPS, STEPS, Clouds
from ddmi_occupancy.signal import ShapeSignal


class ShapeSet(DivisibleSet):
    """Shapes as points on their surfaces and points in space.

    Batches with a generator are augmented: they show a random part of the points on the surfaces, and half of the
    shapes that may be are turned to their mirror image, left and right.

    Args:
        clouds: points of at least as many shapes as the set has.
        weights: `(Q,)`, see `ShapeSignal`.
        names: one name a shape, unique.
        shown: points on the surface that a batch shows; at most those that are kept.
        rows: which of the shapes are in the set; the first ones if left out.
        classes: names of the classes.
        labels: class of each shape; zeros if left out.
        captions: sentences about each shape; none if left out.
        mirrored: whether each shape may be mirrored; none may if left out.

    Raises:
        ValueError: if the numbers of names, rows, labels, captions and shapes do not fit.
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
    ) -> None:
        count = len(names)
        self.clouds, self.weights, self.shown = clouds, weights, shown
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
                raise ValueError(f"a set of {count} names needs one {what} a shape; got {length}")
        if count and not 0 <= self.rows.min() <= self.rows.max() < len(clouds.points):
            raise ValueError(f"rows go from {self.rows.min()} to {self.rows.max()} of {len(clouds.points)} shapes")
        if not 1 <= shown <= clouds.surface.shape[1]:
            raise ValueError(f"{shown} points on the surface cannot be shown of {clouds.surface.shape[1]}")

    def batch(self, indices: Sequence[int], generator: torch.Generator | None = None) -> ShapeSignal:
        """Shapes at the indices; augmented if there is a generator."""
        index = torch.as_tensor(indices, dtype=torch.long)
        rows, clouds = self.rows[index.numpy()], self.clouds
        chosen: Any = slice(self.shown)
        if generator is not None:
            order = torch.randperm(clouds.surface.shape[1], generator=generator, device=generator.device)
            chosen = order[: self.shown].sort().values.cpu().numpy()
        inside = np.unpackbits(clouds.inside[rows], axis=1, count=clouds.points.shape[1])
        parts = [
            as_floats(clouds.surface[rows][:, chosen], STEPS),
            torch.nn.functional.normalize(as_floats(clouds.normals[rows][:, chosen], NORMAL_STEPS), dim=-1),
            as_floats(clouds.points[rows], STEPS),
        ]
        if generator is not None:
            chance = torch.rand(len(index), generator=generator, device=generator.device).cpu()
            side = 1.0 - 2.0 * (self.mirrored[index] & (chance < 0.5)).float()
            for part in parts:
                part[..., 0] *= side[:, None]
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
        """Some shapes of the set, sharing its points."""
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
        )


def as_floats(values: npt.NDArray[Any], steps: int) -> Tensor:
    """Whole numbers as floats, 1 for `steps`."""
    return torch.from_numpy(values.astype(np.float32)).div_(steps)
