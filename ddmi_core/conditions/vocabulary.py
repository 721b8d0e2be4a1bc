"""The words of training captions, kept with a model: for lists, and for warnings about words that no caption has."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from attrs import asdict, field, frozen

from ddmi_core.conditions.sentences import words_of
from ddmi_core.errors import DdmiWarning, counted

MOST_WORDS = 5000  # of a vocabulary; of more, none is kept
CAPTIONS = 24  # that are kept, and LONGEST characters of each
LONGEST = 200
NAMED = 8  # unknown words that a warning names


@frozen
class Vocabulary:
    """Some captions of the training data, and all their words.

    Args:
        captions: some, evenly spaced in the data.
        words: of all captions, sorted; empty if there are too many to keep.
    """

    captions: tuple[str, ...] = ()
    words: tuple[str, ...] = ()

    @staticmethod
    def of(captions: Iterable[Sequence[str]]) -> Vocabulary:
        """The vocabulary of the captions of signals."""
        texts = list(dict.fromkeys(text for each in captions for text in each))
        words = sorted({word for text in texts for word in words_of(text)})
        short = [text for text in texts if len(text) <= LONGEST]
        count = min(CAPTIONS, len(short))
        chosen = [short[number * len(short) // count] for number in range(count)]
        return Vocabulary(tuple(chosen), tuple(words) if len(words) <= MOST_WORDS else ())

    def record(self) -> dict[str, Any]:
        """As JSON values."""
        return {name: list(values) for name, values in asdict(self).items()}

    def unknown(self, text: str) -> list[str]:
        """The words of a text that no caption has; empty if the words are not kept."""
        known = set(self.words)
        return [word for word in dict.fromkeys(words_of(text)) if word not in known] if known else []

    def warn(self, text: str) -> None:
        """Warn of the words of a request that no caption has: to a condition by words they mean nothing."""
        if not (lost := self.unknown(text)):
            return
        more = f" and {len(lost) - NAMED} more" if len(lost) > NAMED else ""
        named = ", ".join(repr(word) for word in lost[:NAMED]) + more
        example = f", for example {self.captions[0]!r}" if self.captions else ""
        fix = f"Fix: use words of the captions{example}; `ddmi conditions` lists them"
        if len(lost) == len(set(words_of(text))):
            sentence = f"this model knows no word of the text ({named}), so samples have nothing to do with it. {fix}"
        else:
            sentence = f"no caption of the training data has the {counted(len(lost), 'word')} {named}. {fix}"
        warnings.warn(sentence, DdmiWarning, stacklevel=2)


@frozen
class Kept:
    """What `Checkpoint.facts` reads of a record."""

    vocabulary: Vocabulary = field(factory=Vocabulary)


def facts_of(captions: Sequence[Sequence[str]]) -> Mapping[str, Any]:
    """The part of a checkpoint's record about the captions of its training data, which `Kept` reads."""
    return {"vocabulary": Vocabulary.of(captions).record()} if captions else {}
