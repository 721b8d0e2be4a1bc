"""A second device without hardware: tensors that say `meta`, hold values, and refuse to mix with those of the CPU."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

DEVICE = torch.device("meta")
CPU = torch.device("cpu")
# Operations that torch itself allows between devices.
_BETWEEN_DEVICES = ("copy_", "_to_copy", "index.", "index_put", "_index_put", "lift_fresh")
_FROM_DATA = (torch.tensor, torch.as_tensor, torch.asarray)


class WrongDevice(RuntimeError):  # noqa: N818 - what a GPU would raise
    """An operation mixes tensors of two devices."""


class _Moved(Tensor):
    """A tensor of the second device; its values are in `plain`, on the CPU."""

    plain: Tensor

    @staticmethod
    def __new__(cls, plain: Tensor) -> _Moved:
        made: _Moved = Tensor._make_wrapper_subclass(
            cls, plain.size(), strides=plain.stride(), storage_offset=plain.storage_offset(), dtype=plain.dtype,
            device=DEVICE, requires_grad=False,
        )  # fmt: skip
        made.plain = plain
        return made

    def __repr__(self, *, tensor_contents: Any = None) -> str:  # type: ignore[override]
        return f"{self.plain!r} on a second device"

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        return _apply(function, args, dict(kwargs or {}))


class _Factories(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Operations that create tensors on the second device."""

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _apply(function, args, dict(kwargs or {}))


class _Functions(TorchFunctionMode):
    """Functions that torch handles without operations: `torch.tensor(..., device=...)`, `numpy()` and `tolist()`."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = dict(kwargs or {})
        if function in _FROM_DATA and given.get("device") is not None and torch.device(given["device"]) == DEVICE:
            return function(*args, **{**given, "device": CPU}).to(DEVICE)
        if args and isinstance(args[0], _Moved):
            if function is Tensor.new_tensor:
                return function(args[0].plain, *args[1:], **{**given, "device": CPU}).to(given.get("device", DEVICE))
            if function in (Tensor.__getitem__, Tensor.__setitem__):
                return function(args[0], _index(args[1]), *args[2:], **given)
            if function is Tensor.tolist:
                return args[0].plain.tolist()
            if function in (Tensor.numpy, Tensor.__array__):
                raise WrongDevice("numpy() of a tensor that is not on the CPU")
        return function(*args, **given)


def _index(index: Any) -> Any:
    """An index with tensors in place of lists, which torch would make without values: to it, the device is `meta`."""
    if isinstance(index, list):
        return (torch.tensor(index) if index else torch.tensor(index, dtype=torch.long)).to(DEVICE)
    return tuple(map(_index, index)) if isinstance(index, tuple) else index


def _apply(function: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """One operation on the plain tensors, if torch allows it for their devices."""
    moved: list[_Moved] = []
    others: list[Tensor] = []
    plain_args = [_plain(item, moved, others) for item in args]
    plain_kwargs = {key: _plain(item, moved, others) for key, item in kwargs.items()}
    device = kwargs.get("device")
    if not moved and device is None:
        return function(*args, **kwargs)
    name = str(function).removeprefix("aten.")
    if moved and others and not name.startswith(_BETWEEN_DEVICES):
        shapes = f"{tuple(moved[0].shape)} on the device of the signals, {tuple(others[0].shape)} on the CPU"
        raise WrongDevice(f"{name.partition('.')[0]} of tensors on two devices: {shapes}")
    if device is not None:
        plain_kwargs["device"] = CPU
    found = function(*plain_args, **plain_kwargs)
    to_cpu = device is not None and torch.device(device) != DEVICE
    if to_cpu or (name.startswith("copy_") and not isinstance(args[0], _Moved)):
        return found
    owners = {id(tensor.plain): tensor for tensor in moved}  # of results in place
    return _wrapped(found, owners)


def _plain(item: Any, moved: list[_Moved], others: list[Tensor]) -> Any:
    """An argument with plain tensors; collects those of the second device, and others that are not scalars."""
    if isinstance(item, _Moved):
        moved.append(item)
        return item.plain
    if isinstance(item, Tensor):
        if item.ndim:
            others.append(item)
    elif isinstance(item, list | tuple):
        return [_plain(part, moved, others) for part in item]
    return item


def _wrapped(found: Any, owners: dict[int, _Moved]) -> Any:
    """A result with tensors of the second device."""
    if isinstance(found, Tensor):
        return owners[id(found)] if id(found) in owners else _Moved(found)
    if isinstance(found, list | tuple):
        return type(found)(_wrapped(part, owners) for part in found)
    return found


def _enter(self: Any) -> None:
    self.off = torch.no_grad()
    self.off.__enter__()


@contextmanager
def second_device() -> Iterator[torch.device]:
    """In the block, `tensor.to(device)` and factories with this device give tensors of a second device."""
    # Wrappers cannot be created in inference mode, so the block has no_grad in its place.
    inference = torch.inference_mode
    with (
        mock.patch.object(inference, "__enter__", _enter),
        mock.patch.object(inference, "__exit__", lambda self, *error: self.off.__exit__(*error)),
        _Functions(),
        _Factories(),  # type: ignore[no-untyped-call]
    ):
        yield DEVICE


def held(item: Any) -> bool:
    """Whether a tensor is on the second device."""
    return isinstance(item, _Moved)
