"""Sizes of grids: parsing of texts, and validation against the axes."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any

from ddmi_core.errors import RequestError, counted

LARGEST = 65536


def checked_size(
    size: Any, axes: Sequence[str], least: int = 1, largest: int = LARGEST, *, repeat: bool = True
) -> tuple[int, ...]:
    """Validate the size of a grid: cells along each axis, slowest first.

    Args:
        size: one whole number for all axes, or one per axis.
        axes: names of the axes, slowest first.
        least, largest: range of the numbers.
        repeat: whether one number stands for all axes.

    Raises:
        RequestError: if there are too few or too many numbers, or one is not whole or out of range.

    Example:
        >>> checked_size(64, ("y", "x"))
        (64, 64)
    """
    lengths = tuple(size) if isinstance(size, Sequence) and not isinstance(size, str) else (size,)
    shown = "x".join(map(str, lengths))
    if len(lengths) == 1 and repeat:
        lengths *= len(axes)
    if len(lengths) != len(axes):
        raise RequestError(
            f"size {shown} has {counted(len(lengths), 'number')}; give one for all axes, or {len(axes)}, slowest axis "
            f"first: {', '.join(axes)}"
        )
    for length in lengths:
        if isinstance(length, bool) or not isinstance(length, Integral) or not least <= int(length) <= largest:
            raise RequestError(
                f"size {shown} is out of range: each axis takes a whole number from {least} to {largest}"
            )
    return tuple(int(length) for length in lengths)


def parse_size(text: str, option: str = "--size") -> tuple[int, ...]:
    """Cells along each axis from `1024` or `768x1024`.

    Raises:
        RequestError: if it has another form, or a number is zero or too large.
    """
    parts = text.lower().split("x")
    if not all(part.isascii() and part.isdigit() for part in parts):
        raise RequestError(
            f"{option} {text} is not a size; use whole numbers joined by x, slowest axis first: 1024 or 768x1024"
        )
    if any(len(part) > 9 or not 1 <= int(part) <= LARGEST for part in parts):
        raise RequestError(f"{option} {text} is out of range; each number must be from 1 to {LARGEST}")
    return tuple(map(int, parts))
