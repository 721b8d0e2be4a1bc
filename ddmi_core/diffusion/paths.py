"""Gaussian paths from data to noise: `x_t = alpha(t) x0 + sigma(t) noise`, data at t = 0, noise at t = 1."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from attrs import field, frozen
from torch import Tensor
from torch.nn.functional import logsigmoid

from ddmi_core.diffusion.config import PathConfig
from ddmi_core.errors import RequestError
from ddmi_core.registry.extensions import part

_SPACING = 1.5  # the best of 1, 1.25, 1.5, 2, 3 for dpmpp_2m on a mixture; see docs/decisions/sampling-times.md


class Path(ABC):
    """A Gaussian path: weight of the data and standard deviation of the noise at each time.

    Every method takes times in [0, 1] of any shape and returns values of that shape, dtype and device.

    The *phase* u is a reparameterized time with `alpha dsigma/du - sigma dalpha/du = 1`. In the phase, a path is
    best conditioned, and the velocity `dx/du` has the usual form of each family: `alpha noise - sigma x0` if
    alpha^2 + sigma^2 = 1 (u is the angle; Salimans and Ho, arXiv 2202.00512, section 4), `noise - x0` for rectified
    flow (u = t), and `noise` if alpha = 1 (u = sigma; EDM, arXiv 2206.00364, equation 1).

    Example:
        >>> @frozen
        ... class VarianceExploding(Path):
        ...     def alpha(self, t): return torch.ones_like(t)
        ...     def sigma(self, t): return 80 * t
        ...     def alpha_rate(self, t): return torch.zeros_like(t)
        ...     def sigma_rate(self, t): return torch.full_like(t, 80)
        ...     def phase(self, t): return 80 * t
        ...     def time_of(self, half_log_snr): return torch.exp(-half_log_snr) / 80
        ...     def times(self, steps): return torch.linspace(1, 0, steps + 1, dtype=torch.float64) ** 7
        ...     def draw_times(self, n, generator): return torch.rand(n, generator=generator)
    """

    @abstractmethod
    def alpha(self, t: Tensor) -> Tensor:
        """Weight of the data, in [0, 1], decreasing in t; 1 at t = 0."""

    @abstractmethod
    def sigma(self, t: Tensor) -> Tensor:
        """Standard deviation of the noise, at least 0, increasing in t; 0 at t = 0."""

    @abstractmethod
    def alpha_rate(self, t: Tensor) -> Tensor:
        """Derivative of alpha in t."""

    @abstractmethod
    def sigma_rate(self, t: Tensor) -> Tensor:
        """Derivative of sigma in t; may be infinite at t = 0."""

    @abstractmethod
    def phase(self, t: Tensor) -> Tensor:
        """The phase u, increasing in t; 0 at t = 0."""

    @abstractmethod
    def time_of(self, half_log_snr: Tensor) -> Tensor:
        """Inverse of `half_log_snr`; values outside the path are clamped to its nearest end."""

    @abstractmethod
    def times(self, steps: int) -> Tensor:
        """Times for sampling in `steps` steps: `(steps + 1,)`, decreasing from 1 to 0; float64, on the CPU.

        Raises:
            RequestError: if steps is not positive.
        """

    @abstractmethod
    def draw_times(self, n: int, generator: torch.Generator | None) -> Tensor:
        """Random times for training: `(n,)` in [0, 1], float32, on the CPU."""

    def half_log_snr(self, t: Tensor) -> Tensor:
        """`log(alpha / sigma)`, the lambda of DPM-Solver (arXiv 2206.00927); infinite if one is 0."""
        return torch.log(self.alpha(t)) - torch.log(self.sigma(t))

    def phase_rates(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """`(dalpha/du, dsigma/du)`, derivatives in the phase; finite at both ends."""
        alpha_rate, sigma_rate = self.alpha_rate(t), self.sigma_rate(t)
        phase_rate = self.alpha(t) * sigma_rate - self.sigma(t) * alpha_rate
        return alpha_rate / phase_rate, sigma_rate / phase_rate

    def interpolate(self, x0: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """`alpha x0 + sigma noise`: `(B, L)`, from x0 and noise `(B, L)` and t `(B,)`."""
        return self.alpha(t)[:, None] * x0 + self.sigma(t)[:, None] * noise


@frozen
class VariancePreserving(Path):
    """DDPM's discrete chain (arXiv 2006.11239), made continuous; the defaults are the chain of the authors' code.

    `log alpha^2` is interpolated linearly between the discrete steps: step i, counted from 0, is at
    `t = (i + 1) / steps`, and alpha is 1 at t = 0. At t = 1, alpha is above 0 (0.0119 with the defaults).

    Args:
        steps: number of discrete steps.
        beta_start: variance of the noise added by the first step.
        beta_end: variance of the noise added by the last step.
        schedule: `scaled_linear`: the square roots of the betas are linear in the step, as in the authors' code and
            in latent diffusion (arXiv 2112.10752). `linear`: the betas are (DDPM).
    """

    steps: int = 1000
    beta_start: float = 0.0015
    beta_end: float = 0.0195
    schedule: str = "scaled_linear"
    log_alpha_bar: Tensor = field(init=False, repr=False, eq=False)  # (steps + 1,), float64, decreasing from 0

    @log_alpha_bar.default
    def _accumulate(self) -> Tensor:
        power = 2 if self.schedule == "scaled_linear" else 1
        ends = self.beta_start ** (1 / power), self.beta_end ** (1 / power)
        betas = torch.linspace(*ends, self.steps, dtype=torch.float64, device="cpu") ** power
        return torch.cat([betas.new_zeros(1), torch.log1p(-betas).cumsum(0)])

    def _segment(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """`log alpha^2` at t, and its derivative in t."""
        table = self.log_alpha_bar.to(t)
        start = (t.detach() * self.steps).long().clamp(0, self.steps - 1)
        rise = table[start + 1] - table[start]
        return table[start] + rise * (t * self.steps - start), rise * self.steps

    def alpha(self, t: Tensor) -> Tensor:
        """Square root of the interpolated alpha-bar."""
        return torch.exp(self._segment(t)[0] / 2)

    def sigma(self, t: Tensor) -> Tensor:
        """`sqrt(1 - alpha^2)`."""
        return torch.sqrt(-torch.expm1(self._segment(t)[0]))

    def alpha_rate(self, t: Tensor) -> Tensor:
        """Derivative of alpha in t; `log alpha^2` has a constant derivative between two discrete steps."""
        value, slope = self._segment(t)
        return slope / 2 * torch.exp(value / 2)

    def sigma_rate(self, t: Tensor) -> Tensor:
        """Derivative of sigma in t; infinite at t = 0, where sigma grows as the square root of t."""
        value, slope = self._segment(t)
        return -slope / 2 * torch.exp(value) / torch.sqrt(-torch.expm1(value))

    def phase(self, t: Tensor) -> Tensor:
        """The angle whose cosine is alpha and whose sine is sigma, in [0, pi/2)."""
        return torch.atan2(self.sigma(t), self.alpha(t))

    def phase_rates(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """`(-sigma, alpha)`."""
        return -self.sigma(t), self.alpha(t)

    def half_log_snr(self, t: Tensor) -> Tensor:
        """`log(alpha / sigma)`, infinite at t = 0 only."""
        value = self._segment(t)[0]
        return (value - torch.log(-torch.expm1(value))) / 2

    def time_of(self, half_log_snr: Tensor) -> Tensor:
        """Time of a half log-SNR: inverts the interpolation of `log alpha^2`."""
        table = self.log_alpha_bar.to(half_log_snr)
        value = logsigmoid(2 * half_log_snr)
        start = (torch.searchsorted(-table, -value.detach(), right=True) - 1).clamp(0, self.steps - 1)
        share = (value - table[start]) / (table[start + 1] - table[start])
        return ((start + share) / self.steps).clamp(0, 1)

    def times(self, steps: int) -> Tensor:
        """EDM's spacing (arXiv 2206.00364, equation 5) of the phase, with rho = 1.5, then 0.

        The last time before 0 is the first step of the chain, the smallest time in training.
        """
        t = torch.tensor([1, 1 / self.steps], dtype=torch.float64)
        first, last = self.phase(t).pow(1 / _SPACING).tolist()
        phase = torch.linspace(first, last, _checked(steps), dtype=torch.float64).pow(_SPACING)
        return torch.cat([t[:1], self.time_of(-torch.log(torch.tan(phase[1:]))), t.new_zeros(1)])

    def draw_times(self, n: int, generator: torch.Generator | None) -> Tensor:
        """Uniform over the discrete steps."""
        return (torch.randint(self.steps, (n,), generator=generator) + 1) / self.steps


@frozen
class RectifiedFlow(Path):
    """Straight lines from data to noise: `alpha = 1 - t`, `sigma = t` (SD3, arXiv 2403.03206, equation 13).

    Args:
        shift: the s in `t -> s t / (1 + (s - 1) t)`, applied to training and sampling times
            (SD3, equation 23); values above 1 shift them towards noise.
    """

    shift: float = 1.0

    def alpha(self, t: Tensor) -> Tensor:
        """`1 - t`."""
        return 1 - t

    def sigma(self, t: Tensor) -> Tensor:
        """`t`."""
        return t

    def alpha_rate(self, t: Tensor) -> Tensor:
        """-1 everywhere."""
        return -torch.ones_like(t)

    def sigma_rate(self, t: Tensor) -> Tensor:
        """1 everywhere."""
        return torch.ones_like(t)

    def phase(self, t: Tensor) -> Tensor:
        """`t`."""
        return t

    def time_of(self, half_log_snr: Tensor) -> Tensor:
        """Time of a half log-SNR, `1 / (1 + exp(half_log_snr))`."""
        return torch.sigmoid(-half_log_snr)

    def times(self, steps: int) -> Tensor:
        """Equal steps, shifted."""
        return self._shifted(torch.linspace(1, 0, _checked(steps) + 1, dtype=torch.float64))

    def draw_times(self, n: int, generator: torch.Generator | None) -> Tensor:
        """Logit-normal (SD3, equation 19, with m = 0 and s = 1), shifted."""
        return self._shifted(torch.sigmoid(torch.randn(n, generator=generator)))

    def _shifted(self, t: Tensor) -> Tensor:
        return self.shift * t / (1 + (self.shift - 1) * t)


def _checked(steps: int) -> int:
    if steps < 1:
        raise RequestError(f"steps={steps} is invalid: sampling needs at least 1 step")
    return steps


def variance_preserving(config: PathConfig) -> Path:
    """DDPM's chain, of a configuration."""
    return VariancePreserving(config.steps, config.beta_start, config.beta_end, config.schedule)


def rectified_flow(config: PathConfig) -> Path:
    """Rectified flow, of a configuration."""
    return RectifiedFlow(config.shift)


def path_from(config: PathConfig) -> Path:
    """The path that a configuration describes.

    Raises:
        RequestError: if there is no such path.
    """
    path: Path = part("paths", config.kind)(config)
    return path
