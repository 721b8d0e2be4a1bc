"""Completion: posterior samples of fields given observations, one fit of a latent per field."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ddmi_core.api.observations import Observations
from ddmi_core.completion.measurement import MeasurementModel
from ddmi_core.completion.sitcom import sitcom
from ddmi_core.diffusion.paths import Path
from ddmi_core.diffusion.samplers import Denoise, Progress
from ddmi_core.fields.field import Field
from ddmi_core.progress import tracked
from ddmi_core.training.objective import generator_for

CANDIDATES = 4  # per field, at the first noise levels
EVALUATIONS = 4  # of denoiser, decoder and readout per noise level
REFINE = 0.3, 40  # final fit: radius in standard deviations of a latent, and number of evaluations


def solve(
    measurement: MeasurementModel,
    observations: Observations,
    decode: Callable[[Tensor], Field],
    denoisers: Sequence[Denoise],
    path: Path,
    *,
    length: int,
    seed: int,
    noise: float,
    steps: int,
    callback: Callable[[Progress], None] | None = None,
) -> Field:
    """Generate one field per denoiser that agrees with the observations (see `sitcom.sitcom`).

    Args:
        measurement: forward model and likelihood.
        observations: measured values and their places.
        decode: maps normalised latents `(B, L)` to fields; differentiable.
        denoisers: one per field, which estimates clean normalised latents under its condition.
        path: the path that the denoiser was trained on.
        length: L.
        seed: field i depends on the seed and i alone.
        noise: of the measurements, see `MeasurementModel.likelihood`.
        steps: number of noise levels.
        callback: called after every step.

    Raises:
        RequestError: if values or numbers are out of range.
    """
    likelihood, seen = measurement.likelihood(noise), measurement.accept(observations)

    @torch.enable_grad()
    def misfit(flat: Tensor) -> tuple[Tensor, Tensor]:
        """Negative log-likelihood `(B,)` at normalised latents `(B, L)`, and its gradient `(B, L)`."""
        flat = flat.detach().requires_grad_()
        expected = measurement.expected(decode(flat), seen, likelihood.expected)
        value = likelihood.misfit(expected, seen.values[None])
        (gradient,) = torch.autograd.grad(value.sum(), flat)
        return value.detach(), gradient

    fields = []
    # One at a time: a fit of many steps amplifies rounding errors, which depend on the batch size.
    for i, denoise in enumerate(tracked("completions", denoisers)):
        start = torch.randn(1, CANDIDATES, length, generator=generator_for(seed, "noise", i))
        flat = sitcom(
            denoise,
            path,
            misfit,
            start.to(measurement.device),
            path.times(steps),
            evaluations=EVALUATIONS,
            refine=REFINE,
            generator=[generator_for(seed, "observations", i)],
            callback=callback,
        )
        with torch.no_grad():
            fields.append(decode(flat))
    return Field.stack(fields)
