"""Tensors in tuples and attrs instances, such as batches of signals: to find, to change and to move them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import attrs
import torch
from torch import Tensor

T = TypeVar("T")


def tensors(item: Any) -> Iterator[Tensor]:
    """The tensors of a signal: itself, or those in a tuple or an attrs instance, as `move` finds them."""
    if isinstance(item, Tensor):
        yield item
    elif isinstance(item, tuple):
        for part in item:
            yield from tensors(part)
    elif attrs.has(type(item)):
        for part in attrs.fields(type(item)):
            if part.init:
                yield from tensors(getattr(item, part.name))


def mapped(item: T, function: Callable[[Tensor], Tensor]) -> T:
    """A copy in which the tensors are what a function returns for them."""
    changed: Any = item
    if isinstance(item, Tensor):
        changed = function(item)
    elif isinstance(item, tuple):
        parts = [mapped(part, function) for part in item]
        changed = type(item)(*parts) if hasattr(item, "_fields") else type(item)(parts)
    elif attrs.has(type(item)):
        names = [part.name for part in attrs.fields(type(item)) if part.init]  # type: ignore[arg-type]
        changed = attrs.evolve(changed, **{name: mapped(getattr(item, name), function) for name in names})
    result: T = changed
    return result


def move(item: T, device: torch.device) -> T:
    """Copy a tensor, or the tensors in a tuple or an attrs instance, to a device.

    Copies to a GPU do not wait; the GPU's later work does.
    """
    return mapped(item, lambda tensor: tensor.to(device, non_blocking=device.type == "cuda"))
