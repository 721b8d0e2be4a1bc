"""Exponential moving average (EMA) of a module's weights, with a decay that ramps up."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ddmi_core.training.sharding import divided, local


class MovingAverage:
    """Average of a module's weights: `average += (1 - decay) * (weights - average)`.

    The decay ramps up as `(1 + step) / (10 + step)` until it reaches its final value, so that early averages do not
    keep the random start. `torch.optim.swa_utils.AveragedModel` counts its updates on the device: a decay that depends
    on the count would read it back at every step.

    Args:
        module: its current weights are the first average.
        decay: final decay, in [0, 1).
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.weights = {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}
        self.kept: dict[str, dict[str, Tensor]] = {}  # earlier averages by name
        self.averaged = [name for name, _ in module.named_parameters(remove_duplicate=False) if name in self.weights]

    def update(self, module: nn.Module, step: int) -> None:
        """Move the average towards the module's weights after a step. Buffers, such as counters, are copied."""
        decay = min(self.decay, (1 + step) / (10 + step))
        current = module.state_dict()
        parameters = self.averaged
        mine, new = ([local(tensors[n]) for n in parameters] for tensors in (self.weights, current))
        torch._foreach_lerp_(mine, new, 1 - decay)
        for name in self.weights.keys() - set(parameters):
            self.weights[name].copy_(current[name])

    def keep(self, name: str, weights: Mapping[str, Tensor] | None = None) -> None:
        """Keep a copy of the average, or of stored weights, as `kept[name]`."""
        stored = self.weights if weights is None else weights
        self.kept[name] = {key: divided(tensor, self.weights[key]).clone() for key, tensor in stored.items()}

    def load(self, weights: Mapping[str, Tensor]) -> None:
        """Replace the average by stored weights."""
        for name, tensor in self.weights.items():
            tensor.copy_(divided(weights[name], tensor))
