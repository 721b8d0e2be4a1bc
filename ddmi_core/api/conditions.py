"""What samples can be asked for beside classes: conditions as vectors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from torch import Tensor

from ddmi_core.api.signals import SignalSet


class Condition(ABC):
    """Turns what is known of signals, and what a request says, into vectors of one space.

    Training sees the vectors of its signals, sampling those of requests. Vectors of about unit size train well.

    Attributes:
        length: F, of a vector.

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
        """Vectors of signals: `(len, F)`, or `(len, K, F)` where each signal has K of them (several captions)."""

    @abstractmethod
    def parse(self, text: str) -> Tensor:
        """The vector `(F,)` of a request, which is the text after `--condition`.

        Raises:
            RequestError: if the text means nothing here; says what would.
        """

    def examples(self) -> Sequence[str]:
        """Texts that `parse` takes, for people who look for one; none by default."""
        return ()
