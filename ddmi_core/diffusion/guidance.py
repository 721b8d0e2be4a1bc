"""Guidance: classifier-free guidance and autoguidance."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ddmi_core.diffusion.samplers import Denoise
from ddmi_core.errors import RequestError

Pair = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]

ALWAYS = (0.0, 1.0)


def classifier_free(
    conditional: Denoise, unconditional: Denoise, scale: float, interval: tuple[float, float] = ALWAYS
) -> Denoise:
    """Classifier-free guidance (arXiv 2207.12598, equation 6).

    The estimate is `unconditional + scale (conditional - unconditional)`; the paper's w is `scale - 1`.
    At a given x and t, the estimates of clean data, noise and velocity are affine functions of each other, so
    guidance of any of them is the same.

    Args:
        conditional: denoiser with the condition.
        unconditional: denoiser without it.
        scale: 1 returns the conditional denoiser unchanged; above 1 strengthens the condition.
        interval: `(low, high)`, times at which guidance applies (arXiv 2404.07724); outside, only the
            conditional denoiser is evaluated. A noise level s = sigma / alpha is the time
            `path.time_of(-log s)`.

    Raises:
        RequestError: unless `0 <= low <= high <= 1`.
    """
    return guided(conditional, _pair(conditional, unconditional), scale, interval)


def autoguidance(strong: Denoise, weak: Denoise, scale: float, interval: tuple[float, float] = ALWAYS) -> Denoise:
    """Autoguidance (arXiv 2406.02507, whose w is the scale): `weak + scale (strong - weak)`.

    Args:
        strong: the fully trained model.
        weak: a worse version of the same model, such as an earlier snapshot, with the same condition.
        scale: 1 returns the strong denoiser unchanged.
        interval: as in `classifier_free`; outside, only the strong denoiser is evaluated.

    Raises:
        RequestError: unless `0 <= low <= high <= 1`.

    Example:
        `diffusion.training.snapshot` keeps the weak model of a run, and `sampling.autoguidance` uses it. This guides by
        another run with the same autoencoder.

        >>> strong, weak = ddmi.load("runs/shapes"), ddmi.load("runs/weak")  # doctest: +SKIP
        >>> labels = strong.labels(range(4), seed=0, condition=None).to(strong.device)  # doctest: +SKIP
        >>> denoisers = (model.diffusion.denoiser(labels) for model in (strong, weak))  # doctest: +SKIP
        >>> path, noise = strong.diffusion.path, torch.randn(4, strong.shape.length)  # doctest: +SKIP
        >>> guided = autoguidance(*denoisers, scale=2.0)  # doctest: +SKIP
        >>> data = dpmpp_2m(guided, path, noise.to(strong.device), path.times(16))  # doctest: +SKIP
        >>> fields = strong.decode(strong.shape.unpack(strong.normalisation.invert(data)))  # doctest: +SKIP
    """
    return guided(strong, _pair(strong, weak), scale, interval)


def guided(main: Denoise, both: Pair, scale: float, interval: tuple[float, float]) -> Denoise:
    """Guidance by a function that returns both estimates, which may share work.

    Args:
        main: estimate that guidance strengthens.
        both: `main` and the estimate that guidance leads away from.
        scale, interval: as in `classifier_free`.

    Raises:
        RequestError: unless `0 <= low <= high <= 1`.
    """
    low, high = interval
    if not 0 <= low <= high <= 1:
        raise RequestError(f"invalid guidance interval ({low}, {high}): need 0 <= low <= high <= 1")
    if scale == 1:
        return main

    def denoise(x: Tensor, t: Tensor) -> Tensor:
        start = t[:, 0] if t.ndim == 2 else t
        inside = (start >= low) & (start <= high)
        # Without an interval, nothing is read back from the device.
        if interval != ALWAYS and not bool(inside.any()):
            return main(x, t)
        estimate, other = both(x, t)
        return torch.where(inside[:, None], other + scale * (estimate - other), estimate)

    return denoise


def _pair(main: Denoise, reference: Denoise) -> Pair:
    return lambda x, t: (main(x, t), reference(x, t))
