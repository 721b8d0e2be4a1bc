"""Reproducible selection: held-out splits and subsets by hashed names, and random draws for procedural data."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")
TRAINING, HELD_OUT = ("train", "training"), ("test", "testing", "val", "valid", "validation", "dev", "eval")


def stable_share(key: str) -> float:
    """A number in [0, 1) from a hash of the key, the same on every machine."""
    return int.from_bytes(hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()[:8], "big") / 2**64


def evenly(size: int, count: int) -> list[int]:
    """`count` evenly spaced indices from 0 to `size - 1`.

    Example:
        >>> evenly(9, 3)
        [0, 4, 8]
    """
    return [round(number * (size - 1) / max(1, count - 1)) for number in range(count)]


def choose(names: Sequence[str], limit: int) -> list[int]:
    """Indices of at most `limit` names (0: all), selected by hash, in ascending order."""
    if not limit or limit >= len(names):
        return list(range(len(names)))
    return sorted(sorted(range(len(names)), key=lambda i: stable_share("limit " + names[i]))[:limit])


def held_out(keys: Sequence[str], share: float) -> tuple[list[int], list[int]]:
    """Training and held-out indices; a signal is held out if the hash of its key is below the share.

    Equal keys stay together. At least one key is held out and one is kept, so very small sets deviate from
    the share; a single key is kept.

    Args:
        keys: one per signal.
        share: held-out share, in (0, 1).
    """
    order = sorted(set(keys), key=stable_share)
    held = {key for key in order[:-1] if stable_share(key) < share} or set(order[:1])
    if len(order) == 1:
        held = set()
    return (
        [i for i, key in enumerate(keys) if key not in held],
        [i for i, key in enumerate(keys) if key in held],
    )


def split_folders(names: Sequence[str]) -> tuple[list[int], list[int]] | None:
    """Training and held-out indices of names in folders `train` and `test` (`val`, `valid`, `validation`, `dev`).

    Args:
        names: paths with `/`.

    Returns:
        None if a name lies elsewhere, or one of the sides is empty.

    Example:
        >>> split_folders(["train/a.png", "test/b.png", "train/c.png"])
        ([0, 2], [1])
    """
    tops = [_top(name) for name in names]
    train = [i for i, top in enumerate(tops) if top in TRAINING]
    held = [i for i, top in enumerate(tops) if top in HELD_OUT]
    return (train, held) if train and held and len(train) + len(held) == len(names) else None


def split_in(name: str) -> str:
    """`train` or `test` from a word in the name of a file, or of the nearest folder that has one; empty if none has.

    Args:
        name: path with `/`.

    Example:
        >>> split_in("data/train-00000-of-00002.parquet"), split_in("validation/data-0.arrow"), split_in("a/b.parquet")
        ('train', 'test', '')
    """
    for part in reversed(name.split("/")):
        for word in re.findall("[a-z]+", part.lower()):
            if word in (*TRAINING, *HELD_OUT):
                return TRAINING[0] if word in TRAINING else HELD_OUT[0]
    return ""


def without_split(names: Sequence[str]) -> list[str]:
    """Names without the folder `train` or `test`, if all lie in folders of a split and at least one in `train`.

    Example:
        >>> without_split(["train/cats/1.png", "test/cats/2.png"])
        ['cats/1.png', 'cats/2.png']
        >>> without_split(["train/1.png", "plane/2.png"])
        ['train/1.png', 'plane/2.png']
    """
    tops = {_top(name) for name in names}
    if tops <= {*TRAINING, *HELD_OUT} and tops & set(TRAINING):
        return [name.partition("/")[2] for name in names]
    return list(names)


def _top(name: str) -> str:
    """The first folder of a path, in lower case; empty if there is none."""
    return name.partition("/")[0].lower() if "/" in name else ""


# Changing the functions below changes the procedural data sets, and with them their fingerprints.


def pick(draw: np.random.Generator, choices: Sequence[T], shares: Sequence[float] = ()) -> T:
    """One of the choices, with equal probabilities or in proportion to `shares`."""
    ends = np.cumsum(shares or [1.0] * len(choices))
    return choices[int(np.searchsorted(ends, draw.random() * ends[-1], side="right"))]


def between(draw: np.random.Generator, low: float, high: float) -> float:
    """A uniform number from low to high."""
    return low + (high - low) * float(draw.random())


def chance(draw: np.random.Generator, share: float) -> bool:
    """True with probability `share`."""
    return bool(draw.random() < share)
