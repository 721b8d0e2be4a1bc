"""A path whose weights are the cosine and the sine of an angle that grows evenly with time."""

from __future__ import annotations

from math import pi

import torch
from attrs import frozen
from torch import Tensor

from ddmi_core.diffusion import Path, PathConfig


@frozen
class Cosine(Path):
    """`alpha = cos(pi t / 2)` and `sigma = sin(pi t / 2)` (arXiv 2102.09672, equation 17, without an offset)."""

    def alpha(self, t: Tensor) -> Tensor:
        """The cosine."""
        return torch.cos(self.phase(t))

    def sigma(self, t: Tensor) -> Tensor:
        """The sine."""
        return torch.sin(self.phase(t))

    def alpha_rate(self, t: Tensor) -> Tensor:
        """Derivative of the cosine in t."""
        return -pi / 2 * self.sigma(t)

    def sigma_rate(self, t: Tensor) -> Tensor:
        """Derivative of the sine in t."""
        return pi / 2 * self.alpha(t)

    def phase(self, t: Tensor) -> Tensor:
        """The angle."""
        return pi / 2 * t

    def time_of(self, half_log_snr: Tensor) -> Tensor:
        """Time of a half log-SNR: the angle whose tangent is sigma / alpha."""
        return torch.atan(torch.exp(-half_log_snr)) * 2 / pi

    def times(self, steps: int) -> Tensor:
        """Equal steps."""
        return torch.linspace(1, 0, steps + 1, dtype=torch.float64)

    def draw_times(self, n: int, generator: torch.Generator | None) -> Tensor:
        """Uniform."""
        return torch.rand(n, generator=generator)


def cosine(config: PathConfig) -> Path:
    """The path of a configuration, which has no settings for it."""
    return Cosine()
