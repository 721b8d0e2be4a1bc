"""Sets of signals of any attrs class of tensors, in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Generic, TypeVar

import attrs
import torch
from torch import Tensor

from ddmi_core.api.signals import DivisibleSet

S = TypeVar("S", bound=attrs.AttrsInstance)


class TensorSet(DivisibleSet, Generic[S]):
    """Signals in memory, as one batch of a domain's own attrs class.

    For signals on grids, use `GridSet`, which also holds finer levels, and reads from memory-mapped files.

    Args:
        signals: all signals as one batch; every field is a tensor `(M, ...)`. Ragged signals are padded.
        names: one unique name per signal.
        classes: names of the classes.
        labels: class of each signal; zeros by default.

    Raises:
        ValueError: if the numbers of names, labels and signals differ, or a field is not a tensor.

    Example:
        >>> @attrs.frozen(eq=False)
        ... class Cloud:
        ...     points: Tensor  # (B, N, 3)
        >>> clouds = TensorSet(Cloud(torch.rand(10, 50, 3)), [f"cloud {number}" for number in range(10)])
        >>> clouds.batch([3, 7]).points.shape
        torch.Size([2, 50, 3])
    """

    def __init__(
        self, signals: S, names: Sequence[str], classes: Sequence[str] = (), labels: Sequence[int] | None = None
    ) -> None:
        self.signals, self.names, self.classes = signals, tuple(map(str, names)), tuple(map(str, classes))
        self.labels = torch.tensor([0] * len(self.names) if labels is None else list(labels), dtype=torch.long)
        if len(self.labels) != len(self.names):
            raise ValueError(f"a set requires one label per signal; got {len(self.labels)} for {len(self.names)} names")
        for part in attrs.fields(type(signals)):
            tensor = getattr(signals, part.name)
            if not isinstance(tensor, Tensor) or tensor.ndim < 1 or len(tensor) != len(self.names):
                form = tuple(tensor.shape) if isinstance(tensor, Tensor) else f"a {type(tensor).__name__}"
                raise ValueError(
                    f"{type(signals).__name__}.{part.name} is {form}; a set of {len(self.names)} signals requires a "
                    f"tensor ({len(self.names)}, ...)"
                )

    def batch(self, indices: Sequence[int], generator: torch.Generator | None = None) -> S:
        """Signals at the indices, copied; the generator is not used."""
        index = torch.as_tensor(indices, dtype=torch.long)
        return self._mapped(lambda tensor: tensor[index])

    def part(self, indices: Sequence[int]) -> TensorSet[S]:
        """Some signals of the set."""
        chosen = list(indices)
        names, labels = [self.names[i] for i in chosen], self.labels[chosen].tolist()
        return TensorSet(self.batch(chosen), names, self.classes, labels)

    def fingerprint(self) -> str:
        """SHA-256 of names, classes, labels, shapes, types and values."""
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        tensors = {part.name: getattr(self.signals, part.name) for part in attrs.fields(type(self.signals))}
        forms = [(name, tuple(tensor.shape), str(tensor.dtype)) for name, tensor in tensors.items()]
        digest = hashlib.sha256(repr((self.names, self.classes, self.labels.tolist(), forms)).encode())
        for tensor in tensors.values():
            array = tensor.contiguous().numpy()
            digest.update(array.astype(array.dtype.newbyteorder("<"), copy=False).data)
        return digest.hexdigest()

    def _mapped(self, function: Callable[[Tensor], Tensor]) -> S:
        fields = attrs.fields(type(self.signals))
        changed = {part.alias: function(getattr(self.signals, part.name)) for part in fields}
        return type(self.signals)(**changed)
