"""Fields that agree with observations: what a field shows, how far it is off, and samples of those that fit."""

from __future__ import annotations

from collections.abc import Callable

import torch
from attrs import evolve, frozen
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from ddmi_core.api.observations import Observations, repeated, taken
from ddmi_core.api.signals import move
from ddmi_core.autoencoder.losses import bernoulli_loss
from ddmi_core.diffusion.likelihoods import Bernoulli, Gaussian, Likelihood
from ddmi_core.diffusion.observations import agreeing
from ddmi_core.diffusion.samplers import Progress
from ddmi_core.errors import RequestError
from ddmi_core.fields.field import Field
from ddmi_core.grids.renderer import GridRenderer
from ddmi_core.runs.model import Model
from ddmi_core.training.objective import generator_for

CANDIDATES = 4  # at the first noise levels
EVALUATIONS = 4  # of denoiser, decoder and readout at each noise level
REFINE = 0.3, 40  # how far the last fit may go, in deviations of a latent, and its evaluations
POINTS = 65536  # evaluations of a field whose activations are kept at once


def complete(
    model: Model,
    observations: Observations,
    n: int,
    seed: int,
    noise: float,
    steps: int,
    condition: str | None,
    guidance: float | None,
    callback: Callable[[Progress], None] | None,
) -> Field:
    """See `Model.complete`."""
    if n < 1 or steps < 1:
        raise RequestError(f"n={n} and steps={steps} must both be at least 1")
    likelihood = likelihood_of(model, noise)
    seen = on_device(model, observations)
    check_values(model, seen)
    fit, path = _Fit(model, seen, likelihood), model.diffusion.path
    given = _conditions(model, n, seed, condition)
    scale = _guidance(model, condition, guidance)
    parts = []
    # One at a time: a fit of many steps magnifies rounding, which differs between sizes of a batch.
    for i in range(n):
        noise_of_i = torch.randn(1, CANDIDATES, model.shape.length, generator=generator_for(seed, "noise", i))
        flat = agreeing(
            model.denoiser(given[i : i + 1].to(model.device), scale),
            path,
            fit,
            noise_of_i.to(model.device),
            path.times(steps),
            evaluations=EVALUATIONS,
            refine=REFINE,
            generator=[generator_for(seed, "observations", i)],
            callback=callback,
        )
        with torch.no_grad():
            parts.append(_decoded(model, flat))
    return Field.stack(parts)


def is_bernoulli(model: Model) -> bool:
    """Whether the fields of a model give logits."""
    return model.domain.resolve(model.domain.loss) is bernoulli_loss


def likelihood_of(model: Model, noise: float) -> Likelihood:
    """The likelihood of a model's values.

    Raises:
        RequestError: if the noise is out of range for it.
    """
    return Bernoulli(noise) if is_bernoulli(model) else Gaussian(noise)


def limits_of(model: Model) -> tuple[float, float]:
    """Lowest and highest value that a model's signals have."""
    if is_bernoulli(model):
        return 0.0, 1.0
    return model.renderer.limits if isinstance(model.renderer, GridRenderer) else (-1.0, 1.0)


def on_device(model: Model, observations: Observations) -> Observations:
    """The observations where the model is, with zeros if they leave out the extra columns.

    Raises:
        RequestError: if they have another number of coordinates or values than the domain.
    """
    axes, names = model.domain.layout.axes, model.domain.columns
    columns, values = observations.queries.coords.shape[2], observations.values.shape[1]
    if values != len(names):
        raise RequestError(f"observed values have {values} columns; this model's have {len(names)}: {', '.join(names)}")
    if columns != len(axes):
        raise RequestError(
            f"observed places have {columns} coordinates; this model's have {len(axes)}: {', '.join(axes)}"
        )
    queries, extras = observations.queries, len(model.domain.layout.extra)
    if queries.extra.shape[2] == 0 != extras:
        zeros = queries.coords.new_zeros(1, observations.places, extras)
        observations = evolve(observations, queries=evolve(queries, extra=zeros))
    return move(observations, model.device)


def check_values(model: Model, observations: Observations) -> None:
    """See that measured values are such as the model's signals have.

    Raises:
        RequestError: if one is out of range.
    """
    low, high = limits_of(model)
    wrong = (observations.values < low) | (observations.values > high)
    if bool(wrong.any()):
        row, column = wrong.nonzero()[0].tolist()
        raise RequestError(
            f"observed value {row + 1}, {model.domain.columns[column]} = {observations.values[row, column]:g}, is "
            f"out of range; values of this model lie from {low:g} to {high:g}"
        )


def shown(model: Model, field: Field, observations: Observations, convert: Callable[[Tensor], Tensor]) -> Tensor:
    """What fields show where something was measured: `(B, M, V)`, differentiable, in bounded memory.

    Args:
        model: renders the field.
        field: a batch.
        observations: on the model's device.
        convert: from the field's values to those that are averaged over cells.
    """
    step = max(1, POINTS // (len(field) * model.renderer.evaluations))

    def part(start: int) -> Tensor:
        queries = repeated(taken(observations.queries, slice(start, start + step)), len(field))
        return convert(model.renderer.observe(field, queries))

    starts = range(0, observations.places, step)
    if len(starts) == 1 or not torch.is_grad_enabled():
        parts = [part(start) for start in starts]
    else:
        parts = [checkpoint(part, start, use_reentrant=False) for start in starts]
    return observations.mean(torch.cat(parts, dim=1))


@frozen(eq=False)
class _Fit:
    """How far the fields of latents are off measured values, as `agreeing` asks."""

    model: Model
    observations: Observations
    likelihood: Likelihood

    @torch.enable_grad()
    def __call__(self, flat: Tensor) -> tuple[Tensor, Tensor]:
        """Misfit `(B,)` and its gradient `(B, L)` at normalised latents."""
        flat = flat.detach().requires_grad_()
        expected = shown(self.model, _decoded(self.model, flat), self.observations, self.likelihood.expected)
        misfit = self.likelihood.misfit(expected, self.observations.values[None])
        (gradient,) = torch.autograd.grad(misfit.sum(), flat)
        return misfit.detach(), gradient


def _decoded(model: Model, flat: Tensor) -> Field:
    return model.decode(model.shape.unpack(model.normalisation.invert(flat)))


def _conditions(model: Model, n: int, seed: int, condition: str | None) -> Tensor:
    """What is asked for; nothing where nothing is, if the model knows that, since the observations say what it is."""
    if condition is None and model.config.diffusion.drop_condition > 0:
        return model.diffusion.condition.none(n)
    return model.conditions(n, seed, condition)


def _guidance(model: Model, condition: str | None, guidance: float | None) -> float:
    if condition is None:
        return 1.0
    return model.config.sampling.guidance if guidance is None else guidance
