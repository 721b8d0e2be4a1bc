"""The readout: an MLP from embeddings to values with coarse-to-fine conditioning (CFC)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from math import inf

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ddmi_core.blocks import Block
from ddmi_core.fields.config import ReadoutConfig as ReadoutConfig

LEAST = 1e-8  # added to squared norms of weights
_ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "silu": nn.SiLU, "gelu": nn.GELU}


class CoarseToFineReadout(Block):
    """`h1 = block1(e1)`, `h2 = block2([h1, e2])`, ..., and a linear head from the last hidden state to the values.

    Each block has `depth` linear layers with activations. Extra columns are concatenated to the input of the
    first layer of every block, so constant ones fold into its bias. Training records the range of each column, and
    every evaluation limits the columns to it: what lies outside would meet weights that no loss has fitted. With
    `residual`, activations precede the layers instead, and a block adds its result to the hidden state.

    Args:
        embedding: `(E_1, ..., E_S)`, widths of the embeddings, coarse to fine.
        extra: number of extra columns, X.
        values: number of value channels, V.
        config: sizes.

    Attributes:
        seen: lowest and highest value of each extra column in training, `(2, X)`; infinity and minus infinity before
            it. Present if there are extra columns.

    Raises:
        ValueError: if layers are to be modulated, and there are no extra columns.

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
        inputs += [0] * config.tail
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
        if config.residual:
            # A block starts as its skip connection.
            for block in self.blocks[1:]:
                nn.init.zeros_(block[-1].weight)  # type: ignore[index]
        self.modulation = _Modulation(extra, config.width, self.blocks) if config.modulated else None

    def forward(self, embeddings: Sequence[Tensor], extra: Tensor) -> Tensor:
        """Values at points, from their embeddings.

        In training mode and with gradients enabled, it records the range of the extra columns.

        Args:
            embeddings: one `(..., E_s)` per scale, coarse to fine.
            extra: `(..., X)`; layers are modulated once for columns that are expanded over the points.

        Returns:
            `(..., V)`
        """
        extra = _once(extra)
        if self.training and torch.is_grad_enabled():
            self._record(extra)
        else:
            extra = self.limited(extra)
        embeddings = list(embeddings)
        if self.config.joining == "input":
            embeddings = [torch.cat(embeddings, dim=-1), *[e[..., :0] for e in embeddings[1:]]]
        embeddings += [embeddings[0][..., :0]] * self.config.tail
        scales = None if self.modulation is None else self.modulation(extra)
        hidden = embeddings[0][..., :0]
        for number, (block, embedding) in enumerate(zip(_linear(self.blocks), embeddings, strict=True)):
            state = self.activation(hidden) if self.config.residual else hidden
            parts: list[Tensor] = [part for part in (state, embedding, extra) if part.shape[-1]]
            inner = state
            for place, layer in enumerate(block):
                if place:
                    parts = [self.activation(inner) if self.config.residual else inner]
                inner = _applied(layer, parts, None if scales is None else scales[number][place])
                if not self.config.residual:
                    inner = self.activation(inner)
            hidden = hidden + inner if number and self.config.residual else inner
        values: Tensor = self.head(self.activation(hidden) if self.config.residual else hidden)
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

    def affine(self, extra: Tensor) -> list[list[tuple[Tensor, Tensor]]]:
        """Weights `(out, in)` and biases of the layers of each block, without gradients.

        Args:
            extra: `(X,)`, the extra columns of all points, by which layers are modulated.
        """
        weights = [[(layer.weight.detach(), layer.bias.detach()) for layer in block] for block in _linear(self.blocks)]
        if self.modulation is None:
            return weights
        with torch.no_grad():
            scales = self.modulation(extra)
            return [
                [(_kept(w, s).unsqueeze(-1) * w * s, b) for (w, b), s in zip(block, own, strict=True)]
                for block, own in zip(weights, scales, strict=True)
            ]

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


class _Modulation(nn.Module):
    """Scales of the inputs of every layer of a readout, from the extra columns; 1 before training.

    Args:
        extra: number of extra columns.
        width: of the hidden layer.
        blocks: of linear layers.
    """

    def __init__(self, extra: int, width: int, blocks: nn.ModuleList) -> None:
        super().__init__()
        if not extra:
            raise ValueError(
                "readout.modulated = true scales layers by the extra columns of the layout, which has none. "
                "Fix: remove it, or add capacity by readout.depth, readout.tail and readout.residual"
            )
        self.style = nn.Sequential(nn.Linear(extra, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU())
        self.scales = nn.ModuleList(
            nn.ModuleList(nn.Linear(width, layer.in_features) for layer in block) for block in _linear(blocks)
        )
        for layer in self.scales.modules():
            if isinstance(layer, nn.Linear):
                nn.init.zeros_(layer.weight)
                nn.init.zeros_(layer.bias)

    def forward(self, extra: Tensor) -> list[list[Tensor]]:
        """Scales `(..., in)` of each layer of each block, from `(..., X)`."""
        style = self.style(extra)
        return [[1 + scale(style) for scale in block] for block in _linear(self.scales)]


def _linear(blocks: nn.ModuleList) -> list[list[nn.Linear]]:
    """The linear layers of each block."""
    return [list(block) for block in blocks]  # type: ignore[call-overload]


def _applied(layer: nn.Linear, parts: Sequence[Tensor], scale: Tensor | None) -> Tensor:
    """A linear layer of inputs side by side, which may be constant along dimensions; without a copy unless scaled."""
    first, *others = parts
    if scale is not None and others:
        shape = torch.broadcast_shapes(*(part.shape[:-1] for part in parts))  # type: ignore[no-untyped-call]
        first = torch.cat([part.expand(*shape, -1) for part in parts], dim=-1)
    if scale is not None:
        return _modulated(layer, first, scale)
    weights = torch.split(layer.weight, [part.shape[-1] for part in parts], dim=-1)
    total = F.linear(first, weights[0], layer.bias)
    for part, weight in zip(others, weights[1:], strict=True):
        total = total + F.linear(part, weight)
    return total


def _modulated(layer: nn.Linear, inputs: Tensor, scale: Tensor) -> Tensor:
    """A linear layer of scaled inputs."""
    return torch.addcmul(layer.bias, F.linear(inputs * scale, layer.weight), _kept(layer.weight, scale))


def _kept(weight: Tensor, scale: Tensor) -> Tensor:
    """Factors `(..., out)` that keep the norms of a weight's rows where its columns are scaled by `(..., in)`."""
    squares = weight.square()
    return torch.sqrt((squares.sum(dim=-1) + LEAST) / (F.linear(scale.square(), squares) + LEAST))


def _once(extra: Tensor) -> Tensor:
    """Extra columns that were expanded over the points, `(..., N, X)`, as `(..., 1, X)`; others unchanged."""
    return extra[..., :1, :] if extra.ndim > 1 and extra.stride(-2) == 0 else extra
