"""Prediction targets (noise, data, velocity) and conversion to an x0 estimate."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from attrs import field, frozen
from torch import Tensor

from ddmi_core.diffusion.paths import Path
from ddmi_core.registry.extensions import part


@frozen
class Target(ABC):
    """What a network predicts at a state x of a path, and the estimate of the clean data that follows from it.

    Args:
        path: the path.

    Example:
        >>> velocity = VelocityTarget(RectifiedFlow())
        >>> data, noise, t = torch.ones(1, 2), torch.zeros(1, 2), torch.tensor([0.25])
        >>> velocity.to_data(0.75 * data + 0.25 * noise, velocity.training_target(data, noise, t), t)
        tensor([[1., 1.]])
    """

    path: Path

    @abstractmethod
    def training_target(self, x0: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """The training target at `path.interpolate(x0, noise, t)`, for the mean squared error; linear in x0 and noise.

        Args:
            x0: `(B, L)`, clean data.
            noise: `(B, L)`, standard normal.
            t: `(B,)`, in [0, 1].

        Returns:
            `(B, L)`
        """

    @abstractmethod
    def to_data(self, x: Tensor, output: Tensor, t: Tensor) -> Tensor:
        """Estimate of the clean data from the network's output; the inverse of `training_target`.

        Args:
            x: `(B, L)`, the state at t.
            output: `(B, L)`, the network's prediction for x and t.
            t: `(B,)`, in [0, 1].

        Returns:
            `(B, L)`
        """

    def of_normal_data(self, x: Tensor, t: Tensor) -> Tensor:
        """The prediction of least squared error for standard normal data, whatever x is: `(B, L)`.

        Given x, the means of the data and of the noise are `alpha x / s` and `sigma x / s`, where s is the variance
        `alpha^2 + sigma^2` of x. A target is linear in both, so its mean is the target of the means. On a
        variance-preserving path it is `sigma x` for noise (LSGM, arXiv 2106.05931, section 3.2) and 0 for the velocity.

        Args:
            x: `(B, L)`, the state at t.
            t: `(B,)`, in [0, 1].
        """
        alpha, sigma = self.path.alpha(t)[:, None], self.path.sigma(t)[:, None]
        mean = x / (alpha.square() + sigma.square())
        return self.training_target(alpha * mean, sigma * mean, t)


@frozen
class NoiseTarget(Target):
    """The noise.

    The estimate of the data is `(x - sigma noise) / alpha`, which multiplies the network's error by 1 / alpha and is
    undetermined where alpha is 0. Therefore the divisor is at least `smallest_alpha`, which draws the estimate towards
    0, the mean of normalised data: 1/32 on paths that end above alpha = 0, as the authors' chain does (without a limit
    in their code), and 1/16 on paths that reach it. Samplers with few steps need the limit because the network is
    inexact, not because numbers are: see docs/decisions/noise-prediction.md.
    """

    smallest_alpha: float = field(init=False)

    @smallest_alpha.default
    def _limit(self) -> float:
        return 1 / 32 if bool(self.path.alpha(torch.ones((), device="cpu")) > 0) else 1 / 16

    def training_target(self, x0: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """The noise."""
        return noise

    def to_data(self, x: Tensor, output: Tensor, t: Tensor) -> Tensor:
        """`(x - sigma noise) / alpha`, with alpha at least `smallest_alpha`."""
        sigma = self.path.sigma(t)[:, None]
        return (x - sigma * output) / self.path.alpha(t).clamp(min=self.smallest_alpha)[:, None]


@frozen
class DataTarget(Target):
    """The clean data."""

    def training_target(self, x0: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """The clean data."""
        return x0

    def to_data(self, x: Tensor, output: Tensor, t: Tensor) -> Tensor:
        """The output."""
        return output


@frozen
class VelocityTarget(Target):
    """The velocity `dx/du = alpha' x0 + sigma' noise`, derivatives in the path's phase u (see `Path`).

    It is `alpha noise - sigma x0` on the variance-preserving path (arXiv 2202.00512, section 4), and `noise - x0` on
    rectified flow (arXiv 2403.03206, section 3), and finite everywhere.
    """

    def training_target(self, x0: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """The velocity."""
        alpha_slope, sigma_slope = self.path.phase_rates(t)
        return alpha_slope[:, None] * x0 + sigma_slope[:, None] * noise

    def to_data(self, x: Tensor, output: Tensor, t: Tensor) -> Tensor:
        """`sigma' x - sigma v`, because `alpha sigma' - sigma alpha' = 1` in the phase: exact at both ends."""
        sigma = self.path.sigma(t)[:, None]
        return self.path.phase_rates(t)[1][:, None] * x - sigma * output


def target_from(name: str, path: Path) -> Target:
    """The prediction target with a name, on a path.

    Raises:
        RequestError: if there is none.
    """
    target: Target = part("targets", name)(path)
    return target
