"""Conditions other than classes: requests and signals as vectors of one space, or as sequences of tokens."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property

import torch
from attrs import evolve, frozen
from torch import Tensor

from ddmi_core.api.signals import SignalSet


@frozen(eq=False)
class TokenSequences:
    """Sequences of tokens of different lengths, stored without padding; `listed` and `padded` make them.

    Signals refer to sequences by number, so that equal ones are stored once.
    """

    values: Tensor  # (total, F), half precision: the tokens of all sequences, one sequence after another
    counts: Tensor  # (U,), integers: tokens of each sequence, at least 1
    vectors: Tensor  # (U, P): a vector beside each sequence; P = 0 for none
    rows: Tensor  # (N, K), integers: the sequences of each signal

    @classmethod
    def listed(
        cls, sequences: Sequence[Tensor], rows: Tensor | None = None, vectors: Tensor | None = None
    ) -> TokenSequences:
        """Sequences from a list.

        Args:
            sequences: U tensors `(T, F)`; T may differ.
            rows: `(N, K)`, the numbers of the sequences of each signal; by default signal i has sequence i alone.
            vectors: `(U, P)`, a vector beside each sequence.

        Raises:
            ValueError: if there is no sequence, or one has no tokens or another F.
        """
        if not sequences or any(item.ndim != 2 or not len(item) for item in sequences):
            shapes = sorted({tuple(item.shape) for item in sequences})
            raise ValueError(f"sequences must be tensors (T, F) with T of at least 1; their shapes are {shapes}")
        if len(widths := sorted({item.shape[1] for item in sequences})) > 1:
            raise ValueError(f"all tokens must have one length F; these have {widths}")
        count = len(sequences)
        return cls(
            torch.cat([item.cpu().half() for item in sequences]),
            torch.tensor([len(item) for item in sequences]),
            torch.zeros(count, 0) if vectors is None else vectors.float().cpu(),
            torch.arange(count)[:, None] if rows is None else rows.cpu(),
        )

    @classmethod
    def padded(cls, tokens: Tensor, mask: Tensor, vectors: Tensor | None = None) -> TokenSequences:
        """Sequences from padded tensors.

        Args:
            tokens: `(N, T, F)`, or `(N, K, T, F)` if each signal has K sequences.
            mask: `(N, T)` or `(N, K, T)`, true for real tokens; the others have no influence.
            vectors: `(N, P)` or `(N, K, P)`, a vector beside each sequence.

        Raises:
            ValueError: as `listed`, or if shapes do not fit.
        """
        if mask.shape != tokens.shape[:-1] or tokens.ndim not in (3, 4):
            raise ValueError(f"tokens {tuple(tokens.shape)} and mask {tuple(mask.shape)} do not fit")
        rows = torch.arange(mask[..., 0].numel()).view(len(mask), -1)
        sequences = [item[real] for item, real in zip(tokens.flatten(0, -3), mask.flatten(0, -2).bool(), strict=True)]
        return cls.listed(sequences, rows, None if vectors is None else vectors.flatten(0, -2))

    def __len__(self) -> int:
        """Number of signals."""
        return len(self.rows)

    def __getitem__(self, signals: slice | Tensor) -> TokenSequences:
        """Those of some signals; they share all sequences with this."""
        return evolve(self, rows=self.rows[signals])

    @property
    def lengths(self) -> tuple[int, int]:
        """Lengths P of a vector and F of a token."""
        return self.vectors.shape[1], self.values.shape[1]

    @cached_property
    def starts(self) -> Tensor:
        """Places of the first tokens of all sequences: `(U,)`."""
        return self.counts.cumsum(0) - self.counts

    def subset(self, which: Tensor) -> TokenSequences:
        """The sequences with numbers `(M,)`, one for each of M signals; others are removed."""
        used, rows = torch.unique(which, return_inverse=True)
        spans = zip(self.starts[used].tolist(), self.counts[used].tolist(), strict=True)
        values = torch.cat([self.values[start : start + count] for start, count in spans])
        return TokenSequences(values, self.counts[used], self.vectors[used], rows[:, None])


class Condition(ABC):
    """Maps signals and requests to vectors of one space, or to sequences of tokens.

    Training uses those of signals, sampling those of requests. Elements of about unit size train well. Vectors are
    added to the embedding of the time. Denoisers attend to tokens by cross-attention, which ignores their order: a
    condition whose order matters writes positions into its tokens.

    Attributes:
        length: length F of a vector; of the vector beside a sequence, which may be 0.
        token_length: length of a token; 0 for a condition that gives vectors alone.

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
    token_length: int = 0

    @abstractmethod
    def of(self, signals: SignalSet) -> Tensor | TokenSequences:
        """Vectors of signals: `(len, F)`, or `(len, K, F)` if each signal has K of them (several captions).

        A condition with a `token_length` returns `TokenSequences` of `len` signals instead.
        """

    @abstractmethod
    def parse(self, text: str) -> Tensor | TokenSequences:
        """The vector `(F,)` of a request, the text after `--condition`; or one sequence.

        Raises:
            RequestError: if the text is not a valid request; the message names valid ones.
        """

    def examples(self) -> Sequence[str]:
        """Example texts for `parse`, shown to users; none by default."""
        return ()
