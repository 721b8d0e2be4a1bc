"""The readout: an MLP from embeddings to values with coarse-to-fine conditioning (CFC)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from math import inf

import torch
from torch import Tensor, nn

from ddmi_core.fields.config import ReadoutConfig as ReadoutConfig

_ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "silu": nn.SiLU, "gelu": nn.GELU}


class CoarseToFineReadout(nn.Module):
    """`h1 = block1(e1)`, `h2 = block2([h1, e2])`, ..., and a linear head from the last hidden state to the values.

    Each block has `depth` linear layers with activations. Extra columns are concatenated to the input of the
    first layer of every block, so constant ones fold into its bias. Training records the range of each column, and
    every evaluation limits the columns to it: what lies outside would meet weights that no loss has fitted.

    Args:
        embedding: `(E_1, ..., E_S)`, widths of the embeddings, coarse to fine.
        extra: number of extra columns, X.
        values: number of value channels, V.
        config: sizes.

    Attributes:
        seen: lowest and highest value of each extra column in training, `(2, X)`; infinity and minus infinity before
            it. Present if there are extra columns.

    Example:
        >>> readout = CoarseToFineReadout((8, 4), extra=0, values=3, config=ReadoutConfig(width=16))
        >>> readout([torch.zeros(2, 5, 8), torch.zeros(2, 5, 4)], torch.zeros(2, 5, 0)).shape
        torch.Size([2, 5, 3])
    """

    seen: Tensor

    def __init__(self, embedding: Sequence[int], extra: int, values: int, config: ReadoutConfig) -> None:
        super().__init__()
        self.embedding, self.extra, self.values, self.config = tuple(embedding), extra, values, config
        inputs = list(self.embedding)
        if config.joining == "input":
            inputs = [sum(inputs), *[0] * (len(inputs) - 1)]
        self.blocks = nn.ModuleList()
        hidden = 0
        for size in inputs:
            widths = [hidden + size + extra, *[config.width] * config.depth]
            self.blocks.append(nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(widths)))
            hidden = config.width
        self.head = nn.Linear(hidden, values)
        self.activation = _ACTIVATIONS[config.activation]()
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(layer.bias)
        nn.init.normal_(self.head.weight, std=config.width**-0.5)
        if extra:
            self.register_buffer("seen", torch.tensor([[inf], [-inf]]).repeat(1, extra))

    def forward(self, embeddings: Sequence[Tensor], extra: Tensor) -> Tensor:
        """Values at points, from their embeddings.

        In training mode and with gradients enabled, it records the range of the extra columns.

        Args:
            embeddings: one `(..., E_s)` per scale, coarse to fine.
            extra: `(..., X)`.

        Returns:
            `(..., V)`
        """
        if self.training and torch.is_grad_enabled():
            self._record(extra)
        else:
            extra = self.limited(extra)
        if self.config.joining == "input":
            embeddings = [torch.cat(list(embeddings), dim=-1), *[e[..., :0] for e in embeddings[1:]]]
        hidden = embeddings[0][..., :0]
        for block, embedding in zip(self.blocks, embeddings, strict=True):
            hidden = torch.cat([hidden, embedding, extra], dim=-1)
            for layer in block:  # type: ignore[attr-defined]
                hidden = self.activation(layer(hidden))
        values: Tensor = self.head(hidden)
        return values

    def limited(self, extra: Tensor) -> Tensor:
        """Extra columns `(..., X)`, each limited to its range in training; unchanged before any training."""
        if not self.extra:
            return extra
        low, high = self.seen
        return torch.where(low > high, extra, torch.minimum(torch.maximum(extra, low), high))

    @torch.no_grad()
    def _record(self, extra: Tensor) -> None:
        """Extend the range that training has seen to extra columns `(..., X)`."""
        if self.extra:
            low, high = extra.flatten(0, -2).aminmax(dim=0)
            self.seen.copy_(torch.stack([torch.minimum(self.seen[0], low), torch.maximum(self.seen[1], high)]))

    def equals(self, other: CoarseToFineReadout) -> bool:
        """Whether the other readout is this one, or an equal copy on the same device."""
        if other is self:
            return True
        mine, others = self.state_dict(), other.state_dict()
        return (
            (self.config, mine.keys()) == (other.config, others.keys())
            and all(weight.device == others[name].device for name, weight in mine.items())
            and all(torch.equal(weight, others[name]) for name, weight in mine.items())
        )
