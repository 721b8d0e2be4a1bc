"""Muon: steps along orthogonalised momenta for the weights of linear layers and convolutions, AdamW for the rest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from ddmi_core.training.sharding import divided, whole

MOMENTUM = 0.95
# An odd polynomial of degree five with a steep slope at zero; five times, it maps singular values between 0.002 and 1
# to between 0.68 and 1.14 (Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks").
SLOPE, CUBIC, QUINTIC = 3.4445, -4.7750, 2.0315
TIMES = 5
# Root mean square of a step, relative to the rate: that of AdamW, so that both take the same rates (arXiv 2502.16982,
# equation 4).
SIZE = 0.2
LEAST = 8  # rows and columns of a matrix; what has fewer is left to AdamW


class Muon(torch.optim.AdamW):
    """AdamW with another rule for matrices: `W -= rate * SIZE * sqrt(max(rows, columns)) * orthogonal(momentum)`.

    Matrices are the weights of linear layers and convolutions, `(out, in * kernel)`, of at least 8 rows and columns.
    The momentum is Nesterov's, with a decay of 0.95. A step that `found_inf` marks changes nothing, as in fused AdamW.

    Args:
        module: its parameters are optimised.
        betas: decay rates of AdamW.
        weight_decay: decoupled weight decay of all parameters.

    Example:
        >>> layer = nn.Linear(16, 16)
        >>> optimiser = Muon(layer, betas=(0.9, 0.99), weight_decay=0.0)
        >>> layer(torch.randn(4, 16)).square().sum().backward()
        >>> optimiser.step()
        >>> sorted(optimiser.state[layer.weight]), sorted(optimiser.state[layer.bias])
        (['momentum', 'step'], ['exp_avg', 'exp_avg_sq', 'step'])
    """

    found_inf: Tensor | None = None

    def __init__(self, module: nn.Module, betas: tuple[float, float], weight_decay: float) -> None:
        super().__init__(module.parameters(), betas=betas, weight_decay=weight_decay, fused=True)
        layers = (part for part in module.modules() if isinstance(part, nn.Linear | _ConvNd))
        weights = dict.fromkeys(layer.weight for layer in layers)  # a shared one once
        self.matrices = [weight for weight in weights if min(_shape(weight)) >= LEAST]

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        """Change all parameters that have a gradient; the gradients of matrices are removed.

        Raises:
            ValueError: if there is a closure.
        """
        if closure is not None:
            raise ValueError("Muon takes no closure")
        (group,) = self.param_groups
        taken = 1.0 if self.found_inf is None else 1 - self.found_inf
        moved: dict[tuple[int, int], list[tuple[Tensor, Tensor]]] = {}
        for weight in self.matrices:
            if weight.grad is not None:
                moved.setdefault(_shape(weight), []).append((weight, self._momentum(weight, weight.grad)))
                self.state[weight]["step"] += taken
                weight.grad = None  # so that AdamW passes over it
        for shape, pairs in moved.items():
            steps = orthogonal(torch.stack([whole(momentum).reshape(shape) for _, momentum in pairs]))
            steps *= -group["lr"] * SIZE * max(shape) ** 0.5
            if self.found_inf is not None:
                steps = torch.where(self.found_inf > 0, 0, steps)
            for (weight, _), step in zip(pairs, steps, strict=True):
                if group["weight_decay"]:
                    weight.mul_(1 - group["lr"] * group["weight_decay"] * taken)
                weight.add_(divided(step.reshape(weight.shape), weight))
        super().step()

    def _momentum(self, weight: Tensor, gradient: Tensor) -> Tensor:
        """The gradient mixed with the running mean of gradients, which moves towards it."""
        state = self.state[weight]
        if not state:  # AdamW expects a count of steps in every state
            state.update(step=torch.zeros((), device=weight.device), momentum=torch.zeros_like(weight))
        mean: Tensor = state["momentum"]
        moved = mean.lerp(gradient, 1 - MOMENTUM)
        mean.copy_(moved if self.found_inf is None else torch.where(self.found_inf > 0, mean, moved))
        return gradient.lerp(mean, MOMENTUM)


def orthogonal(matrices: Tensor) -> Tensor:
    """Matrices with the same singular vectors, and singular values near 1: between 0.68 and 1.14.

    The polynomial is applied to the smaller one of the matrix's two products with its transpose, and to the matrix once
    at the end: less than half of the operations of applying it to the matrix itself. It requires float32.

    Args:
        matrices: `(k, rows, columns)`; singular values below 0.002 of their norm stay smaller.

    Returns:
        `(k, rows, columns)`
    """
    if matrices.shape[1] > matrices.shape[2]:
        return orthogonal(matrices.mT).mT
    matrices = matrices / (torch.linalg.matrix_norm(matrices, keepdim=True) + 1e-12)
    product = torch.bmm(matrices, matrices.mT)
    total: Tensor | None = None
    for left in reversed(range(TIMES)):
        factor = torch.baddbmm(product, product, product, beta=CUBIC, alpha=QUINTIC)
        factor.diagonal(dim1=1, dim2=2).add_(SLOPE)
        total = factor if total is None else torch.bmm(factor, total)
        if left:
            product = torch.bmm(torch.bmm(factor, product), factor)
    return matrices if total is None else torch.bmm(total, matrices)


def _shape(weight: Tensor) -> tuple[int, int]:
    """Rows and columns of a weight as a matrix."""
    return len(weight), weight.numel() // max(1, len(weight))
