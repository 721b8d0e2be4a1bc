"""Conditions as vectors that join the embedding of the time: a table of classes, or a network of given vectors."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ClassCondition(nn.Embedding):
    """Conditions are class numbers `(B,)`; the number of classes itself stands for "no condition".

    Args:
        classes: number of classes; 0 leaves "no condition" alone.
        width: of the vectors.
    """

    def __init__(self, classes: int, width: int) -> None:
        super().__init__(classes + 1, width)
        nn.init.normal_(self.weight, std=0.5)

    def none(self, n: int) -> Tensor:
        """No condition, `n` times."""
        return torch.full((n,), self.num_embeddings - 1)


class VectorCondition(nn.Module):
    """Conditions are vectors with a mark, `(B, F + 1)`, the mark 1; zeros with the mark 0 are "no condition".

    Args:
        length: F.
        width: of what they are mapped to.
    """

    def __init__(self, length: int, width: int) -> None:
        super().__init__()
        self.length = length
        self.network = nn.Sequential(nn.Linear(length + 1, width), nn.SiLU(), nn.Linear(width, width))

    def none(self, n: int) -> Tensor:
        """No condition, `n` times."""
        return torch.zeros(n, self.length + 1)

    def forward(self, given: Tensor) -> Tensor:
        """Map `(B, F + 1)` to `(B, width)`."""
        vectors: Tensor = self.network(given)
        return vectors


def marked(vectors: Tensor) -> Tensor:
    """Vectors `(..., F)` as conditions `(..., F + 1)` of a `VectorCondition`."""
    return torch.cat([vectors, torch.ones_like(vectors[..., :1])], dim=-1)
