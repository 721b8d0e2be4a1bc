"""Likelihoods: how probable measured values are, given what a field shows."""

from __future__ import annotations

from typing import Protocol

import torch
from attrs import frozen
from torch import Tensor

from ddmi_core.errors import RequestError

_LEAST = 1e-30  # probability


class Likelihood(Protocol):
    """What a field's values say about measured ones."""

    def expected(self, values: Tensor) -> Tensor:
        """What a measurement shows on average where a field has these values; means of measurements are means of it."""

    def misfit(self, expected: Tensor, measured: Tensor) -> Tensor:
        """Negative log-likelihood up to a constant, `(B,)`, of measurements `(B, M, V)`."""


@frozen
class Gaussian:
    """Values with independent normal noise.

    Args:
        noise: standard deviation, in units of the values.

    Raises:
        RequestError: if the noise is not positive.
    """

    noise: float

    def __attrs_post_init__(self) -> None:
        """Check the noise."""
        if not self.noise > 0:
            raise RequestError(f"noise {self.noise:g} is not a standard deviation; give a number above 0")

    def expected(self, values: Tensor) -> Tensor:
        """The values themselves."""
        return values

    def misfit(self, expected: Tensor, measured: Tensor) -> Tensor:
        """`sum (expected - measured)^2 / (2 noise^2)`."""
        return (expected - measured).square().flatten(1).sum(dim=1) / (2 * self.noise**2)


@frozen
class Bernoulli:
    """Labels 0 and 1, or shares of them, of which some are wrong; the field's values are logits.

    A measured label is the true one with the probability `1 - noise`, so the misfit is the cross entropy expected
    over true labels, with `(1 - noise) y + noise (1 - y)` in place of y: label smoothing (Szegedy et al., arXiv
    1512.00567, section 7), which mitigates label noise (Lukasik et al., arXiv 2003.02819). The likelihood
    of the noisy label itself (forward correction, arXiv 1609.03683, theorem 2) has no slope where a field is surely
    wrong: fits of a held-out shape got stuck at an overlap of 0.55.

    Args:
        noise: probability of a wrong label.

    Raises:
        RequestError: if the noise is not between 0 and 0.5.
    """

    noise: float

    def __attrs_post_init__(self) -> None:
        """Check the noise."""
        if not 0 < self.noise < 0.5:
            raise RequestError(
                f"noise {self.noise:g} is not the probability of a wrong label; give a number above 0 and below 0.5"
            )

    def expected(self, values: Tensor) -> Tensor:
        """Probabilities of the labels 1, then of the labels 0, `(B, N, 2 V)`: each is exact where it is small."""
        return torch.cat([torch.sigmoid(values), torch.sigmoid(-values)], dim=-1)

    def misfit(self, expected: Tensor, measured: Tensor) -> Tensor:
        """Cross entropy with the measured labels or shares, smoothed."""
        one, zero = expected.clamp_min(_LEAST).log().chunk(2, dim=-1)
        share = (1 - 2 * self.noise) * measured + self.noise
        return -(share * one + (1 - share) * zero).flatten(1).sum(dim=1)
