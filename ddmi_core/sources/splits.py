"""Stable choices by name: which signals are held out, and which are taken where there are too many."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence


def stable_share(key: str) -> float:
    """A number in [0, 1) that depends on the key alone, the same on every machine."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") / 2**64


def evenly(size: int, count: int) -> list[int]:
    """`count` of so many indices from the first to the last, evenly spread.

    Example:
        >>> evenly(9, 3)
        [0, 4, 8]
    """
    return [round(number * (size - 1) / max(1, count - 1)) for number in range(count)]


def choose(names: Sequence[str], limit: int) -> list[int]:
    """Indices of at most `limit` names (0: all), chosen by hash, in their order."""
    if not limit or limit >= len(names):
        return list(range(len(names)))
    return sorted(sorted(range(len(names)), key=lambda i: stable_share("limit " + names[i]))[:limit])


def held_out(keys: Sequence[str], share: float) -> tuple[list[int], list[int]]:
    """Indices to train on, and indices to hold out: those whose key's hash falls into a share.

    Equal keys stay together. At least one key is held out and one is kept, so very small sets deviate from
    the share; a single key is kept.

    Args:
        keys: one a signal.
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
