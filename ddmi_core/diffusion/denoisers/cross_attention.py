"""Cross-attention of denoisers to the tokens of a condition, and the embedding of those tokens."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from ddmi_core.api.conditions import TokenSequences
from ddmi_core.blocks import Block
from ddmi_core.diffusion.denoisers.embeddings import VectorCondition
from ddmi_core.networks import attention

NULL = 4  # tokens of the learned sequence for "no condition"


class Context(NamedTuple):
    """What denoisers attend to; each row has at least one token."""

    tokens: Tensor  # (B, T, width)
    mask: Tensor  # (B, T), true for tokens; the others are padding and have no influence


class CrossAttention(Block):
    """Multi-head attention of tokens to a context, with normalised queries and keys, on a residual branch.

    Untrained, it returns its input. It ignores the order of the context.

    Args:
        width: channels of a token.
        heads: number of heads, a divisor of the width.
        context: channels of a token of the context.
    """

    def __init__(self, width: int, heads: int, context: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        self.inputs = nn.Linear(context, 2 * width)
        self.query_norm = nn.LayerNorm(width // heads)
        self.key_norm = nn.LayerNorm(width // heads)
        self.output = nn.Linear(width, width)
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)

    def forward(self, tokens: Tensor, context: Context) -> Tensor:
        """Map `(B, T, width)` to the same shape."""
        query = self.query(self.norm(tokens)).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        key, value = self.inputs(context.tokens).unflatten(-1, (2, self.heads, -1)).permute(2, 0, 3, 1, 4)
        query, key = self.query_norm(query).to(value.dtype), self.key_norm(key).to(value.dtype)
        mixed = attention(query, key, value, mask=context.mask[:, None, None])
        output: Tensor = tokens + self.output(mixed.transpose(1, 2).flatten(2))
        return output


class TokenCondition(nn.Module):
    """Embedding of packed sequences `(B, R, W + 1)` with W = max(P, F); see `pack`.

    Each row is a token and the mark 1, or padding with the mark 0. If P is not 0, the first row is the vector beside
    the sequence. "No condition" has no mark: denoisers then attend to a learned sequence.

    Args:
        vector: P, length of the vector; 0 for none.
        token: F, length of a token.
        width: of the embeddings.
    """

    def __init__(self, vector: int, token: int, width: int) -> None:
        super().__init__()
        self.length, self.token_length, self.width = vector, token, width
        self.vector = VectorCondition(vector, width) if vector else None
        self.tokens = nn.Sequential(nn.Linear(token, width), nn.SiLU(), nn.Linear(width, width), nn.LayerNorm(width))
        self.null = nn.Parameter(torch.randn(NULL, width))

    def none(self, n: int) -> Tensor:
        """`n` times "no condition"."""
        return torch.zeros(n, 1, max(self.length, self.token_length) + 1)

    def forward(self, given: Tensor) -> Tensor:
        """Embedding of the vectors, `(B, width)`; zero without vectors."""
        if self.vector is None:
            return given.new_zeros(len(given), self.width)
        vectors: Tensor = self.vector(torch.cat([given[:, 0, : self.length], given[:, 0, -1:]], dim=1))
        return vectors

    def context(self, given: Tensor) -> Context:
        """Embeddings of the tokens, or of the learned sequence where there is none."""
        rows = given[:, bool(self.length) :]
        marks = rows[..., -1] > 0
        absent = ~marks.any(dim=1, keepdim=True)
        tokens = self.tokens(rows[..., : self.token_length])
        null = self.null.to(tokens.dtype).expand(len(given), -1, -1)
        return Context(torch.cat([null, tokens], dim=1), torch.cat([absent.expand(-1, NULL), marks], dim=1))


def pack(given: TokenSequences, which: Tensor) -> Tensor:
    """Sequences as one tensor for a `TokenCondition`, `(B, R, W + 1)`, padded to the longest of them.

    Args:
        given: the sequences.
        which: `(B,)`, their numbers.
    """
    counts = given.counts[which]
    steps = torch.arange(int(counts.max()))
    real = steps < counts[:, None]
    first = given.starts[which]
    places = (first[:, None] + steps).where(real, first[:, None])
    vector, token = given.vectors.shape[1], given.values.shape[1]
    start = int(vector > 0)
    packed = torch.zeros(len(which), start + len(steps), max(vector, token) + 1)
    packed[:, start:, :token] = given.values[places].float() * real[..., None]
    packed[:, start:, -1] = real
    if vector:
        packed[:, 0, :vector] = given.vectors[which]
        packed[:, 0, -1] = 1
    return packed
