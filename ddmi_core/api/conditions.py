"""Conditions other than classes: requests and signals as vectors of one space."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from torch import Tensor

from ddmi_core.api.signals import SignalSet


class Condition(ABC):
    """Maps signals and requests to vectors of one space.

    Training uses the vectors of signals, sampling those of requests. Elements of about unit size train well.

    Attributes:
        length: length F of a vector.

    Example:
        >>> import torch
        >>> class Pitch(Condition):
        ...     length = 1
        ...     def of(self, signals):
        ...         return torch.tensor([[float(name.split()[-1]) / 100] for name in signals.names])
        ...     def parse(self, text):
        ...         return torch.tensor([float(text) / 100])
        >>> Pitch().parse("440")
        tensor([4.4000])
    """

    length: int

    @abstractmethod
    def of(self, signals: SignalSet) -> Tensor:
        """Vectors of signals: `(len, F)`, or `(len, K, F)` if each signal has K of them (several captions)."""

    @abstractmethod
    def parse(self, text: str) -> Tensor:
        """The vector `(F,)` of a request, the text after `--condition`.

        Raises:
            RequestError: if the text is not a valid request; the message names valid ones.
        """

    def examples(self) -> Sequence[str]:
        """Example texts for `parse`, shown to users; none by default."""
        return ()
