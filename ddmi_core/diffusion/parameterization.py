"""Prediction targets: what a network is trained to say, and the clean data that follow from its words."""

from __future__ import annotations

from torch import Tensor

from ddmi_core.diffusion.paths import Path
from ddmi_core.errors import RequestError, unknown_name

TARGETS = ("noise", "data", "velocity")

SMALLEST_ALPHA = 1 / 16


def target(kind: str, path: Path, x0: Tensor, noise: Tensor, t: Tensor) -> Tensor:
    """What the network should predict at `path.interpolate(x0, noise, t)`; trained by mean squared error.

    The velocity is `dx/du = alpha' x0 + sigma' noise`, derivatives in the path's phase u (see `Path`):
    `alpha noise - sigma x0` on the variance-preserving path (arXiv 2202.00512, section 4), and
    `noise - x0` on rectified flow (arXiv 2403.03206, section 3). It is finite everywhere.

    Args:
        kind: `noise`, `data` or `velocity`.
        path: the path.
        x0: `(B, L)`, clean data.
        noise: `(B, L)`, standard normal.
        t: `(B,)`, in [0, 1].

    Returns:
        `(B, L)`

    Raises:
        RequestError: if the kind is unknown.
    """
    _check(kind)
    if kind == "noise":
        return noise
    if kind == "data":
        return x0
    alpha_slope, sigma_slope = path.phase_rates(t)
    return alpha_slope[:, None] * x0 + sigma_slope[:, None] * noise


def to_data(kind: str, path: Path, x: Tensor, output: Tensor, t: Tensor) -> Tensor:
    """Estimate of the clean data from the network's output; the inverse of `target`.

    From a velocity it is `sigma' x - sigma v`, because `alpha sigma' - sigma alpha' = 1` in the phase: no
    division, exact at both ends. From noise it is `(x - sigma noise) / alpha`, which multiplies the network's
    error by 1 / alpha and is undetermined where alpha is 0; alpha is taken as `SMALLEST_ALPHA` at least,
    which draws the estimate towards 0, the mean of normalised data. For a small trained network and 24 steps
    of DDIM this lowers the energy distance to the data from 84 to 4 (rectified flow, against 1/256) and from
    38 to 4 (the paper's path, against none), times 1e-3; for an exact denoiser of N(1, 0.3^2) it moves the
    mean by 0.011 and the deviation by less than 0.001.

    Args:
        kind: `noise`, `data` or `velocity`.
        path: the path.
        x: `(B, L)`, the state at t.
        output: `(B, L)`, what the network predicts for x and t.
        t: `(B,)`, in [0, 1].

    Returns:
        `(B, L)`

    Raises:
        RequestError: if the kind is unknown.
    """
    _check(kind)
    if kind == "data":
        return output
    sigma = path.sigma(t)[:, None]
    if kind == "noise":
        return (x - sigma * output) / path.alpha(t).clamp(min=SMALLEST_ALPHA)[:, None]
    return path.phase_rates(t)[1][:, None] * x - sigma * output


def _check(kind: str) -> None:
    if kind not in TARGETS:
        raise RequestError(unknown_name("prediction target", kind, TARGETS))
