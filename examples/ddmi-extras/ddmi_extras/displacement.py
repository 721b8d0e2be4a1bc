"""A prediction target: the displacement from data to noise, on any path."""

from __future__ import annotations

from attrs import frozen
from torch import Tensor

from ddmi_core.diffusion import Target


@frozen
class Displacement(Target):
    """`noise - x0`, which is the velocity of rectified flow, here on any path."""

    def training_target(self, x0: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """The displacement."""
        return noise - x0

    def to_data(self, x: Tensor, output: Tensor, t: Tensor) -> Tensor:
        """`(x - sigma output) / (alpha + sigma)`, because `x = alpha x0 + sigma noise`."""
        alpha, sigma = self.path.alpha(t)[:, None], self.path.sigma(t)[:, None]
        return (x - sigma * output) / (alpha + sigma)
