"""Validators of numeric settings with both bounds, and the bounds that several settings share."""

from __future__ import annotations

from typing import Any

from attrs import validators

# Far above what any run uses; they keep a wrong digit from filling the memory, or a check from looping for ever.
MOST_WIDTH = 1 << 16  # channels, heads, and cells along an axis
MOST_BLOCKS = 1 << 10  # blocks and layers
MOST_BATCH = 1 << 20  # signals; the divisors of a batch are counted
MOST_POINTS = 1 << 24  # of a signal
MOST_STEPS = 10**9  # of training
MOST_WEIGHT = 1e6  # of a term of a loss
MOST_SIGNALS = 10**9  # of a data set
MOST_SAMPLES = 100_000  # of one request
MOST_LEVELS = 100_000  # steps of a sampler
MOST_SECONDS = 1e7  # of an interval


def within(low: float, high: float) -> Any:
    """Validator of a number from `low` to `high`, both included."""
    return validators.and_(validators.ge(low), validators.le(high))


def each_within(low: float, high: float, least: int = 0) -> Any:
    """Validator of a list of at least `least` numbers, each from `low` to `high`."""
    return validators.and_(validators.min_len(least), validators.deep_iterable(within(low, high)))


def above(low: float, high: float) -> Any:
    """Validator of a number above `low`, and at most `high`."""
    return validators.and_(validators.gt(low), validators.le(high))


def inside(low: float, high: float) -> Any:
    """Validator of a number above `low` and below `high`."""
    return validators.and_(validators.gt(low), validators.lt(high))
