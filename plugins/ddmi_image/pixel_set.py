"""Sets of pictures kept as bytes at their largest level, and their split for training and testing."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from ddmi_core.api import SignalSet, Split
from ddmi_image.signal import ImageSignal

Pixels = npt.NDArray[np.uint8]


class PixelSet(SignalSet):
    """Pictures in memory, or in a memory-mapped file.

    Args:
        pixels: `(M, R)`, one row a picture, as `pack` makes it; may hold more pictures than the set.
        rows: which pictures of `pixels` are in the set.
        names: one name a picture of the set, unique.
        size: native size.
        detail: greatest multiple of the native size.
        classes: names of the classes.
        labels: class of each picture; zeros if left out.
        mirrored: whether each picture may be mirrored in training.
    """

    def __init__(
        self,
        pixels: Pixels,
        rows: Sequence[int],
        names: Sequence[str],
        size: int,
        detail: int = 1,
        classes: Sequence[str] = (),
        labels: Sequence[int] | None = None,
        mirrored: Sequence[bool] | None = None,
    ) -> None:
        self.pixels, self.rows = pixels, np.asarray(rows, dtype=np.int64)
        self.size, self.detail = size, detail
        self.names, self.classes = tuple(names), tuple(classes)
        self.labels = torch.tensor([0] * len(names) if labels is None else list(labels), dtype=torch.long)
        self.mirrored = torch.tensor([False] * len(names) if mirrored is None else list(mirrored))

    def batch(self, indices: Sequence[int], generator: torch.Generator | None = None) -> ImageSignal:
        """Pictures at the indices at all levels; with a generator, mirrored at random where allowed."""
        index = torch.as_tensor(indices, dtype=torch.long)
        packed = torch.from_numpy(np.ascontiguousarray(self.pixels[self.rows[index.numpy()]]))
        levels, start = [], 0
        for side in sides(self.size, self.detail):
            level = packed[:, start : start + 3 * side * side]
            levels.append(level.reshape(-1, 3, side, side))
            start += 3 * side * side
        if generator is not None:
            chance = torch.rand(len(index), generator=generator, device=generator.device).cpu()
            mirrored = self.mirrored[index] & (chance < 0.5)
            for level in levels:
                level[mirrored] = level[mirrored].flip(-1)
        return ImageSignal(pixels=levels[0].float().div_(127.5).sub_(1), finer=tuple(levels[1:]))

    def fingerprint(self) -> str:
        """SHA-256 of names, classes, sizes and bytes."""
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        contents = (self.names, self.classes, self.labels.tolist(), self.size, self.detail)
        digest = hashlib.sha256(repr(contents).encode())
        for row in self.rows:
            digest.update(np.ascontiguousarray(self.pixels[row]).data)
        return digest.hexdigest()


def sides(size: int, detail: int) -> tuple[int, ...]:
    """Width of each level, the native one first: 1, 2, 4, ... up to `detail` times the size."""
    return tuple(size << power for power in range(detail.bit_length()))


def row_bytes(size: int, detail: int) -> int:
    """Bytes of one packed picture."""
    return sum(3 * side * side for side in sides(size, detail))


def pack(picture: Image.Image, size: int) -> Pixels:
    """All levels of an RGB picture as one row of bytes: native first, channels first.

    Args:
        picture: square, a power of two times `size` wide; smaller levels are its means over blocks.
        size: native size.
    """
    levels = [picture.reduce(picture.width // side) for side in sides(size, picture.width // size)]
    return np.concatenate([np.asarray(level).transpose(2, 0, 1).ravel() for level in levels])


def stable_share(key: str) -> float:
    """A number in [0, 1) that depends on the key alone, the same on every machine."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") / 2**64


def choose(names: Sequence[str], limit: int) -> list[int]:
    """Indices of at most `limit` names (0: all), chosen by hash, in their order."""
    if not limit or limit >= len(names):
        return list(range(len(names)))
    return sorted(sorted(range(len(names)), key=lambda i: stable_share("limit " + names[i]))[:limit])


def split(whole: PixelSet, keys: Sequence[str], share: float) -> Split:
    """Hold out the pictures whose key's hash falls into a share; equal keys stay together.

    At least one key is held out and one is kept, so very small sets deviate from the share.

    Args:
        whole: all pictures.
        keys: one a picture.
        share: held-out share, in (0, 1).
    """
    order = sorted(set(keys), key=stable_share)
    held = {key for key in order[:-1] if stable_share(key) < share} or set(order[:1])
    if len(order) == 1:
        held = set()
    sides = (
        [i for i, key in enumerate(keys) if key not in held],
        [i for i, key in enumerate(keys) if key in held],
    )
    train, held_out = (part(whole, side) for side in sides)
    return Split(train=train, held_out=held_out)


def part(whole: PixelSet, indices: Sequence[int]) -> PixelSet:
    """Some pictures of a set, sharing its bytes."""
    return PixelSet(
        whole.pixels,
        whole.rows[list(indices)],  # type: ignore[arg-type]
        [whole.names[i] for i in indices],
        whole.size,
        whole.detail,
        whole.classes,
        whole.labels[list(indices)].tolist(),
        whole.mirrored[list(indices)].tolist(),
    )
