"""Self-attention over the tokens of all planes."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


class Attention(nn.Module):
    """Multi-head self-attention with normalised queries and keys.

    Args:
        width: channels of a token.
        heads: number of heads; lowered to divide the width.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        while width % heads:
            heads -= 1
        self.heads = heads
        self.inputs = nn.Linear(width, 3 * width)
        self.output = nn.Linear(width, width)
        self.query_norm = nn.RMSNorm(width // heads)
        self.key_norm = nn.RMSNorm(width // heads)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map `(B, T, width)` to the same shape."""
        query, key, value = self.inputs(tokens).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(self.query_norm(query), self.key_norm(key), value)
        output: Tensor = self.output(mixed.transpose(1, 2).flatten(2))
        return output
