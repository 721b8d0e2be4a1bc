"""The exponential moving average of a module's weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class MovingAverage:
    """Averaged copy of a module's parameters: `average += (1 - decay) * (weights - average)`.

    The decay ramps up as `(1 + step) / (10 + step)` until it reaches its final value, so that early
    averages are not held back by the random start.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.weights = {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}

    @torch.no_grad()
    def update(self, module: nn.Module, step: int) -> None:
        """Move towards the module's weights after a step."""
        decay = min(self.decay, (1 + step) / (10 + step))
        current = module.state_dict()
        floats = [name for name, tensor in self.weights.items() if tensor.is_floating_point()]
        torch._foreach_lerp_([self.weights[n] for n in floats], [current[n] for n in floats], 1 - decay)
        for name in self.weights.keys() - set(floats):
            self.weights[name].copy_(current[name])

    def load(self, weights: Mapping[str, Tensor]) -> None:
        """Take over stored averages."""
        for name, tensor in self.weights.items():
            tensor.copy_(weights[name])

    @contextmanager
    def applied(self, module: nn.Module) -> Iterator[None]:
        """Put the averaged weights into a module for the time of a block."""
        kept = {name: tensor.clone() for name, tensor in module.state_dict().items()}
        module.load_state_dict(self.weights)
        try:
            yield
        finally:
            module.load_state_dict(kept)
