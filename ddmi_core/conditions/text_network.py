"""Text networks of the user: a TorchScript file with its tokenizer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ddmi_core import network_files
from ddmi_core.conditions.sentences import LONGEST, TokenEncoder
from ddmi_core.errors import CheckpointError, DataError, RequestError, first_line
from ddmi_core.out_of_memory import is_out_of_memory
from ddmi_core.registry.consent import check_program

SUFFIXES = (".pt", ".pth", ".ts")
TOKENIZER = "tokenizer.json"
BATCH = 64


def is_network(condition: str) -> bool:
    """Whether a value of `diffusion.condition` is the path of a text network."""
    return condition.endswith(SUFFIXES)


def digest(condition: str) -> str:
    """SHA-256 digest of the file of a text network; empty for other values of `diffusion.condition`."""
    if not is_network(condition):
        return ""
    return network_files.digest(Path(condition))


def check_trained(condition: str, trained: str) -> None:
    """Check the file of a text network before it is opened; other values of `diffusion.condition` pass.

    Args:
        condition: value of `diffusion.condition`.
        trained: digest of the network of the training; empty if unknown.

    Raises:
        CheckpointError: if it is not the one of training.
        PluginError: if the user has never named it.
    """
    if not is_network(condition) or not Path(condition).is_file():
        return
    if trained and digest(condition) != trained:
        raise CheckpointError(
            f"{condition} is not the text network that this model was trained with. Fix: put that file there, or "
            "change diffusion.condition in the run's run.toml to its path, and accept it with ddmi doctor RUN --accept"
        )
    check_program(Path(condition), "this run")


class TextNetwork(TokenEncoder):
    """A text network in a TorchScript file, on the CPU.

    It maps ids `(B, T)`, integers, to tokens `(B, T, F)`, or to a pair of tokens and vectors `(B, P)`. The file holds
    its tokenizer as the extra file `tokenizer.json`, in the format of the package `tokenizers`. Texts of different
    lengths are in different batches, so a network needs no mask. If the tokenizer pads, padded tokens are removed from
    the network's output. The tokenizer's truncation is the limit, 256 tokens without one.

    Args:
        path: of the file.

    Raises:
        DataError: if the file is missing or unusable.
        RequestError: if the package `tokenizers` is not installed.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise DataError(
                f"{path}: there is no such file; diffusion.condition names it as text network. Fix: put it there, or "
                "change diffusion.condition in the run.toml of the run"
            )
        extra = {TOKENIZER: ""}
        self._network = network_files.load_torchscript(path, extra=extra)
        self.path, self.name = path, path.stem
        self._cut, self._whole = self._tokenizer(extra[TOKENIZER]), self._tokenizer(extra[TOKENIZER])
        self._whole.no_truncation()
        self._whole.no_padding()
        if self._cut.truncation is None:
            self._cut.enable_truncation(LONGEST)
        self.limit = int(self._cut.truncation["max_length"])
        (tokens,), vectors = self.read(["a"])
        self.token_length, self.length = tokens.shape[1], vectors.shape[1]

    def read(self, texts: Sequence[str]) -> tuple[list[Tensor], Tensor]:
        """See `TokenEncoder.read`.

        Raises:
            DataError: if the network fails, or returns something else.
        """
        encoded = [self._cut.encode(text) for text in texts]
        tokens: dict[int, Tensor] = {}
        vectors: dict[int, Tensor] = {}
        for length in {len(row.ids) for row in encoded}:
            same = [number for number, row in enumerate(encoded) if len(row.ids) == length]
            for start in range(0, len(same), BATCH):
                numbers = same[start : start + BATCH]
                found = self._applied(torch.tensor([encoded[number].ids for number in numbers], dtype=torch.long))
                for number, sequence, vector in zip(numbers, *found, strict=True):
                    tokens[number] = sequence[torch.tensor(encoded[number].attention_mask, dtype=torch.bool)]
                    vectors[number] = vector
        order = range(len(texts))
        return [tokens[number] for number in order], torch.stack([vectors[number] for number in order])

    def count(self, text: str) -> int:
        """Number of tokens of a text."""
        return len(self._whole.encode(text).ids)

    @torch.no_grad()
    def _applied(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens and vectors of ids `(B, T)`."""
        wanted = (
            f"{self.path}: the network must map ids {tuple(ids.shape)} to tokens (B, T, F), or to (tokens, vectors)"
        )
        try:
            found = self._network(ids)
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise
            # TorchScript prints a long traceback before the message.
            raise DataError(f"{wanted}; it fails: {str(error).strip().splitlines()[-1]}") from error
        tokens, vectors = found if isinstance(found, tuple) and len(found) == 2 else (found, None)
        if not isinstance(tokens, Tensor) or tokens.ndim != 3 or tokens.shape[:2] != ids.shape:
            raise DataError(
                f"{wanted}; it returns {tuple(tokens.shape) if isinstance(tokens, Tensor) else type(tokens)}"
            )
        if vectors is None:
            return tokens.float(), torch.zeros(len(ids), 0)
        if not isinstance(vectors, Tensor) or vectors.ndim != 2 or len(vectors) != len(ids):
            raise DataError(f"{wanted}; its vectors are not (B, P)")
        return tokens.float(), vectors.float()

    def _tokenizer(self, text: str | bytes) -> Any:
        """The tokenizer from the file."""
        if find_spec("tokenizers") is None:
            raise RequestError("text networks require the package tokenizers. Fix: pip install 'ddmi[text]'")
        try:
            json.loads(text)
            return import_module("tokenizers").Tokenizer.from_str(text if isinstance(text, str) else text.decode())
        except Exception as error:  # the package raises bare exceptions
            raise DataError(
                f"{self.path}: the file has no usable tokenizer: {first_line(error)}. Fix: save it with "
                f"torch.jit.save(network, path, _extra_files={{{TOKENIZER!r}: tokenizer.to_str()}})"
            ) from error
