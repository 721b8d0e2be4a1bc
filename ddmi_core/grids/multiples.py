"""Sizes at which signals supervise a field, as multiples of the native one, and how often each is drawn.

Settings of a domain have two keys for them: `multiples` and `shares`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from attrs import Attribute

from ddmi_core.bounds import MOST_WEIGHT
from ddmi_core.errors import ConfigError
from ddmi_core.sources.account import data_warning

LARGEST_MULTIPLE = 8


def valid_multiples(instance: object, attribute: Attribute[Any], value: Sequence[float]) -> None:
    """Validator of a setting: 1 first, then increasing, at most 8.

    Raises:
        ConfigError: otherwise.
    """
    rising = all(low < high for low, high in pairwise(value))
    if not value or value[0] != 1 or not rising or not value[-1] <= LARGEST_MULTIPLE:
        raise ConfigError(
            f"{attribute.name} = {_shown(value)}: give increasing numbers from 1, the native size, to "
            f"{LARGEST_MULTIPLE}, for example [1, 1.5, 2]"
        )


def level_sizes(key: str, native: int, multiples: Sequence[float]) -> tuple[int, ...]:
    """Cells of each level, the native one first, rounded to whole numbers.

    Args:
        key: setting of the native size, for messages.
        native: cells at the native size.
        multiples: of the native size.

    Raises:
        ConfigError: if two levels have the same size.

    Example:
        >>> level_sizes("size", 256, [1, 1.5, 2])
        (256, 384, 512)
    """
    sizes = tuple(round(native * multiple) for multiple in multiples)
    if len(set(sizes)) < len(sizes):
        raise ConfigError(
            f"{key} = {native} and multiples = {_shown(multiples)} give the sizes {', '.join(map(str, sizes))}, not "
            "all different. Fix: set multiples further apart"
        )
    return sizes


def check_shares(shares: Sequence[float], multiples: Sequence[float]) -> None:
    """Check the probabilities with which the sizes are drawn; none means equal ones.

    Raises:
        ConfigError: if there is not one for each multiple, or one is not positive.
    """
    if shares and len(shares) != len(multiples):
        raise ConfigError(
            f"shares = {_shown(shares)} and multiples = {_shown(multiples)} differ in length. Fix: give one share for "
            "each multiple, or shares = [] for equal ones"
        )
    if not all(0 < share <= MOST_WEIGHT for share in shares):
        raise ConfigError(
            f"shares = {_shown(shares)}: give positive numbers, at most {MOST_WEIGHT:g}, for example [0.3, 0.3, 0.4]"
        )


def reached_multiples(
    multiples: Sequence[float],
    sizes: Sequence[float],
    available: Sequence[float],
    key: str = "",
    names: Sequence[str] = (),
) -> tuple[float, ...]:
    """The multiples whose sizes all signals reach without enlargement; at least the native one.

    Args:
        multiples: of the native size.
        sizes: of each, such as those of `level_sizes`, or rates.
        available: size or rate of each signal, at least one.
        key: setting of the native one, for the warning.
        names: of the signals; if given, a warning tells which multiples are left out, because of which signals.
    """
    fitting = tuple(multiples[: max(1, sum(size <= min(available) for size in sizes))])
    if names and len(fitting) < len(multiples):
        needed = sizes[len(fitting)]
        small = sorted((size, name) for size, name in zip(available, names, strict=True) if size < needed)
        some = len(small) < len(available)
        data_warning(
            f"training uses the multiples {_shown(fitting)} of domain.{key} = {sizes[0]:g}, not {_shown(multiples)}, "
            f"because {f'{len(small)} of {len(available)}' if some else 'all'} signals have a {key} below {needed:g}",
            [f"{name} ({size:g})" for size, name in small if some],
            f"{'leave these signals out, ' * some}lower domain.{key}, or set domain.multiples",
        )
    return fitting


def _shown(numbers: Sequence[float]) -> str:
    """Numbers as in TOML."""
    return f"[{', '.join(f'{number:g}' for number in numbers)}]"
