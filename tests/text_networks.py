"""Small text networks as users give them, and signals with captions."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from ddmi_core.api import SignalSet
from ddmi_core.conditions.text_network import TOKENIZER

WORDS = ("[UNK]", "[PAD]", "a", "fast", "slow", "wave", "and", "calm", "hasty", "that", "is")


class Captioned(SignalSet):
    """Signals of which nothing but the captions matters."""

    classes = ()

    def __init__(self, captions):
        self.captions = captions
        self.names = [f"signal {number}" for number in range(max(1, len(captions)))]
        self.labels = torch.zeros(len(self.names), dtype=torch.long)

    def batch(self, indices, generator=None):
        raise NotImplementedError

    def fingerprint(self):
        return ""


def captioned(*captions) -> Captioned:
    return Captioned(captions)


class Embedded(nn.Module):
    """A random vector of each id, plus its position; with `pooled`, their mean beside them."""

    def __init__(self, pooled: bool = False):
        super().__init__()
        self.pooled = pooled
        self.table = nn.Embedding(len(WORDS), 5)
        with torch.no_grad():
            self.table.weight.copy_(torch.randn(len(WORDS), 5, generator=torch.Generator().manual_seed(0)))

    def forward(self, ids):
        tokens = self.table(ids) + 0.1 * torch.arange(ids.shape[1]).unsqueeze(1)
        return (tokens, tokens.mean(dim=1))


class _TokensAlone(nn.Module):
    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, ids):
        return self.network(ids)[0]


def saved(path: Path, network: nn.Module, pad: int = 0, most: int = 0) -> Path:
    """A TorchScript file with a tokenizer of `WORDS`, which pads to `pad` and truncates to `most` tokens."""
    tokenizers = pytest.importorskip("tokenizers")
    models, pre = pytest.importorskip("tokenizers.models"), pytest.importorskip("tokenizers.pre_tokenizers")
    vocabulary = {word: number for number, word in enumerate(WORDS)}
    tokenizer = tokenizers.Tokenizer(models.WordLevel(vocabulary, unk_token=WORDS[0]))
    tokenizer.pre_tokenizer = pre.Whitespace()
    if pad:
        tokenizer.enable_padding(pad_id=1, pad_token=WORDS[1], length=pad)
    if most:
        tokenizer.enable_truncation(most)
    if isinstance(network, Embedded) and not network.pooled:
        network = _TokensAlone(network)
    torch.jit.save(torch.jit.script(network), str(path), _extra_files={TOKENIZER: tokenizer.to_str()})
    return path
