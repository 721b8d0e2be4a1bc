"""Traversal and comparison of the tensors in signals, queries and artefacts."""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from typing import Any

import attrs
import numpy as np
import torch
from torch import Tensor


def leaves(item: Any, path: str = "") -> Iterator[tuple[str, Tensor]]:
    """Tensors in a tensor, array, tuple or attrs instance with their paths, as `api.signals.move` finds them."""
    if isinstance(item, Tensor):
        yield path or "tensor", item
    elif isinstance(item, np.ndarray):
        yield path or "array", torch.from_numpy(item)
    elif isinstance(item, tuple):
        for number, part in enumerate(item):
            yield from leaves(part, f"{path}[{number}]")
    elif attrs.has(type(item)):
        for field in attrs.fields(type(item)):
            if field.init:
                yield from leaves(getattr(item, field.name), f"{path}.{field.name}".lstrip("."))


def copied(item: Any) -> Any:
    """A copy of an item in which the tensors and arrays that `leaves` finds are copies; all else is shared.

    Converters of attrs classes are not called, since they may change values by rounding.
    """
    if isinstance(item, Tensor):
        return item.clone()
    if isinstance(item, np.ndarray):
        return item.copy()
    if isinstance(item, tuple):
        parts = [copied(part) for part in item]
        return type(item)(*parts) if hasattr(item, "_fields") else type(item)(parts)
    if attrs.has(type(item)):
        made = copy(item)
        for field in attrs.fields(type(item)):
            if field.init:
                object.__setattr__(made, field.name, copied(getattr(item, field.name)))  # frozen classes too
        return made
    return item


def difference(first: Any, second: Any) -> str:
    """Location of the first difference between two items; empty if they are equal. NaN equals NaN."""
    ours, theirs = dict(leaves(first)), dict(leaves(second))
    if ours.keys() != theirs.keys():
        return f"parts {', '.join(ours)} versus {', '.join(theirs)}"
    for name, tensor in ours.items():
        other = theirs[name]
        if tensor.shape != other.shape or tensor.dtype != other.dtype:
            shapes = f"{tuple(tensor.shape)} {tensor.dtype} versus {tuple(other.shape)} {other.dtype}"
            return f"{name} is {shapes}"
        if changed := int(((tensor != other) & ~((tensor != tensor) & (other != other))).sum()):
            return f"{name} differs in {changed} of {tensor.numel()} values"
    return ""


def finite(item: Any) -> bool:
    """Whether all numbers of an item are finite."""
    return all(bool(torch.isfinite(tensor).all()) for _, tensor in leaves(item))


def furthest(first: Tensor, second: Tensor) -> float:
    """Largest difference of two tensors, relative to 1 plus the second's largest value."""
    if not second.numel():
        return 0.0
    return float((first - second).abs().max() / (1 + second.abs().max()))
