"""In-memory data set of objects with posed views, stored as integers."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from ddmi_core.api import DivisibleSet, per_row, shared
from ddmi_nerf.data.packing import STEPS, Stack
from ddmi_nerf.settings import Showing
from ddmi_nerf.signal import ViewSignal


class ViewSet(DivisibleSet):
    """Objects as views with cameras, and coloured surface points.

    A batch contains some of the training views: random ones of each object with a generator, the first ones without.
    With a generator, the points are a random subset too. Held-out views appear only in `novel`.

    Args:
        stack: views and points of at least as many objects as the set has.
        names: unique names of the objects.
        showing: which views and points a batch contains.
        rows: indices of the set's objects in the stack; the first ones by default.
        classes: names of the classes.
        labels: class of each object; zeros by default.
        captions: sentences about each object; none by default.
        drawn_by: name and version of the formulas that draw the objects; empty for files. It stands for the pictures in
            the fingerprint, because processors differ in the last digits of what formulas give.

    Raises:
        ValueError: if the numbers of names, rows, labels, captions, views and points are inconsistent.
    """

    def __init__(
        self,
        stack: Stack,
        names: Sequence[str],
        showing: Showing,
        *,
        rows: Sequence[int] | None = None,
        classes: Sequence[str] = (),
        labels: Sequence[int] | None = None,
        captions: Sequence[Sequence[str]] = (),
        drawn_by: str = "",
    ) -> None:
        count = len(names)
        self.stack, self.showing, self.drawn_by = stack, showing, drawn_by
        self.names, self.classes = tuple(map(str, names)), tuple(map(str, classes))
        self.rows = np.arange(count) if rows is None else np.asarray(rows, dtype=np.int64)
        self.labels = torch.tensor([0] * count if labels is None else list(labels), dtype=torch.long)
        self.captions = tuple(map(tuple, captions))
        lengths = {"row": len(self.rows), "label": len(self.labels)}
        if captions:
            lengths["caption tuple"] = len(self.captions)
        for what, length in lengths.items():
            if length != count:
                raise ValueError(f"a set of {count} names needs one {what} per object; got {length}")
        objects, views = stack.pictures.shape[:2]
        if count and not 0 <= self.rows.min() <= self.rows.max() < objects:
            raise ValueError(f"rows {self.rows.min()} to {self.rows.max()} are out of range for {objects} objects")
        if not 1 <= showing.shown <= showing.views <= views:
            raise ValueError(f"{showing.shown} of {showing.views} views cannot be shown of {views}")
        if not 1 <= showing.points <= stack.points.shape[1]:
            raise ValueError(f"{showing.points} points cannot be shown of {stack.points.shape[1]}")

    def batch(self, indices: Sequence[int], generator: torch.Generator | None = None) -> ViewSignal:
        """Objects at the indices, each with `showing.shown` of its training views."""
        showing, count = self.showing, len(indices)
        views = torch.arange(showing.shown).expand(count, -1)
        points = torch.arange(showing.points)
        if generator is not None:
            keys = per_row(generator, count, lambda n, g: torch.rand(n, showing.views, generator=g, device=g.device))
            views = keys.argsort(dim=1)[:, : showing.shown].sort(dim=1).values.cpu()
            common = shared(generator)
            kept = torch.randperm(self.stack.points.shape[1], generator=common, device=common.device)
            points = kept[: showing.points].sort().values.cpu()
        return self._signal(indices, views, points)

    @property
    def novel_views(self) -> int:
        """Number of held-out views of each object."""
        return int(self.stack.pictures.shape[1]) - self.showing.views

    def novel(self, indices: Sequence[int], views: Sequence[int] | None = None) -> ViewSignal:
        """Objects at the indices with held-out views: those of the given numbers, or all; K is 0 if there are none."""
        numbers = torch.arange(self.novel_views) if views is None else torch.as_tensor(views, dtype=torch.long)
        shown = (self.showing.views + numbers).expand(len(indices), -1)
        return self._signal(indices, shown, torch.arange(self.showing.points))

    def fingerprint(self) -> str:
        """SHA-256 of names, classes, labels, captions, batch settings, and of the views and points or who drew them."""
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        contents = (self.names, self.classes, self.labels.tolist(), self.captions, self.showing)
        stack = self.stack
        if self.drawn_by:
            shapes = (stack.points.shape[1:], stack.pictures.shape[1:])
            return hashlib.sha256(repr((*contents, self.drawn_by, shapes)).encode()).hexdigest()
        digest = hashlib.sha256(repr(contents).encode())
        for row in self.rows:
            for part in (stack.to_world, stack.intrinsics, stack.points, stack.point_colours, stack.pictures):
                digest.update(np.ascontiguousarray(part[row]).data)
        return digest.hexdigest()

    def part(self, indices: Sequence[int]) -> ViewSet:
        """A subset of the objects, which shares the stack."""
        chosen = list(indices)
        return ViewSet(
            self.stack,
            [self.names[i] for i in chosen],
            self.showing,
            rows=self.rows[chosen].tolist(),
            classes=self.classes,
            labels=self.labels[chosen].tolist(),
            captions=[self.captions[i] for i in chosen] if self.captions else (),
            drawn_by=self.drawn_by,
        )

    def _signal(self, indices: Sequence[int], views: Tensor, points: Tensor) -> ViewSignal:
        """Objects with some of their views `(B, K)` and points `(P,)`."""
        rows, stack = self.rows[torch.as_tensor(indices, dtype=torch.long).numpy()], self.stack
        at = (rows[:, None], views.numpy())
        pictures = torch.from_numpy(stack.pictures[at].astype(np.float32)).div_(255).movedim(-1, 2)
        colours, opacity = pictures[:, :, :3], pictures[:, :, 3:]
        background = torch.tensor(self.showing.background)
        behind = (background[:, None, None] + 1) / 2
        to_world = torch.eye(4).repeat(*views.shape, 1, 1)
        to_world[:, :, :3] = torch.from_numpy(stack.to_world[at])
        chosen = (rows[:, None], points.numpy())
        return ViewSignal(
            images=(colours + (1 - opacity) * behind).clamp(0, 1) * 2 - 1,
            opacity=opacity.contiguous(),
            to_world=to_world,
            intrinsics=torch.from_numpy(stack.intrinsics[at]),
            points=torch.from_numpy(stack.points[chosen].astype(np.float32)).div_(STEPS),
            point_colours=torch.from_numpy(stack.point_colours[chosen].astype(np.float32)).div_(127.5).sub_(1),
            background=background.repeat(len(rows), 1),
        )
