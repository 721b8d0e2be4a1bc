"""Checks of training: gradients reach every weight, and steps of both stages lower the loss."""

from __future__ import annotations

import torch
from attrs import evolve, frozen

from ddmi_core.api.evaluation import Figure
from ddmi_core.api.signals import Split
from ddmi_core.diffusion.latent_diffusion import DenoisingObjective
from ddmi_core.errors import PluginError, RequestError
from ddmi_core.model import latent_cache
from ddmi_core.model.build import autoencoder_objectives, build_condition, build_diffusion
from ddmi_core.model.data import fitting_condition
from ddmi_core.model.latent_store import Encoding
from ddmi_core.model.model import Model
from ddmi_core.runs import rehearsal
from ddmi_core.runs.rehearsal import SAMPLES, Some
from ddmi_core.settings.config import RunConfig
from ddmi_core.testing.check import NotApplicable, expect
from ddmi_core.testing.subject import Subject
from ddmi_core.testing.tensors import finite, leaves
from ddmi_core.training.config import TrainingConfig
from ddmi_core.training.objective import Objective, StepContext, generator_for

STEPS = 16
BATCHES = 3  # further batches on which gradients are computed
SIGNALS = 16
CPU = torch.device("cpu")


@frozen(eq=False)
class Fit:
    """Losses and gradients of some steps on one batch."""

    losses: tuple[float, ...]
    gradients: dict[str, float]  # largest absolute gradient of each weight; infinite if one was not finite
    still: tuple[str, ...]  # weights with gradients that the steps did not change


def check_autoencoder_learns(subject: Subject) -> None:
    """A few steps on one batch of points lower the loss of the autoencoder."""
    _falls(subject.once("fit", lambda: _autoencoder(subject)), "autoencoder")


def check_gradients_reach_weights(subject: Subject) -> None:
    """Through observe and the loss, gradients reach every weight of encoder, decoder and readout, and are finite."""
    gradients = subject.once("fit", lambda: _autoencoder(subject)).gradients
    without = [name for name, largest in gradients.items() if largest == 0]
    expect(
        not without,
        f"no gradient reaches {without[0] if without else ''}",
        "keep values differentiable from weights to observe (no detach, no_grad, rounding or numpy), and create no "
        "unused weights",
        weights_without=len(without),
        of=len(gradients),
    )


def check_training_changes_weights(subject: Subject) -> None:
    """Steps of training change every weight that has a gradient, and encoder and decoder are not without weights."""
    fit = subject.once("fit", lambda: _autoencoder(subject))
    expect(
        not fit.still,
        f"training does not change {fit.still[0] if fit.still else ''}",
        "set no weights in forward(), and keep them as nn.Parameter; the preset's learning rate must not be 0",
        unchanged=len(fit.still),
        of=len(fit.gradients),
    )
    for part in ("encoder", "decoder"):
        count = sum(name.startswith(f"{part}.") for name in fit.gradients)
        expect(
            count > 0,
            f"the {part} has no weights to train",
            "register its modules as attributes or in an nn.ModuleList, and do not freeze them",
            weights=count,
        )


def check_denoiser_learns(subject: Subject) -> None:
    """A few steps on one batch of latents lower the loss of the denoiser."""
    autoencoder = subject.autoencoder
    config, vectors = subject.once("condition", lambda: _conditioned(subject))
    encoded = latent_cache.encode(autoencoder, Some(subject.train, SIGNALS), Encoding(), CPU, vectors)
    lengths = latent_cache.lengths_of(encoded.vectors)
    model = build_diffusion(subject.domain, config, encoded.shape, len(encoded.classes), *lengths)
    source = latent_cache.CachedLatents(encoded)
    flat = source.rows[torch.arange(len(source))]
    expect(finite(flat), "latents are not finite", "keep the encoder's mean in range", latents=len(flat))
    objective = DenoisingObjective(model, source, encoded.vectors if any(lengths) else encoded.labels)
    _falls(_fit(objective, subject.config.diffusion.training, batches=0), "denoiser")


def check_samples_render(subject: Subject) -> None:
    """Fields of sampled latents are finite, and can be described and rendered."""
    model = subject.once("model", lambda: _untrained(subject))
    fields = model.sample(2, seed=0, steps=2)
    endless = sum(int((~tensor.isfinite()).sum()) for _, tensor in leaves(fields.basis))
    expect(
        endless == 0,
        "basis fields of samples are not finite",
        "bound the decoder's output for all latents",
        values_not_finite=endless,
    )
    with torch.no_grad():
        features = subject.parts.field_features(fields)
    expect(finite(features), "features of samples are not finite", "bound the output of field_features", fields=2)
    drawn = subject.parts.picture(model.render(fields[1]))
    expect(drawn is not None, "a sample has no picture", "make picture draw every artefact", samples=2)


def check_evaluations(subject: Subject) -> None:
    """Evaluations give figures with numbers and unique names for few signals and samples of any model."""
    evaluations = subject.parts.evaluations()
    if not evaluations:
        raise NotApplicable("the domain has no evaluations")
    model, split = subject.once("model", lambda: _untrained(subject)), subject.split
    names: list[str] = []
    for name, evaluation in evaluations.items():
        found = list(evaluation(model, Split(Some(split.train, SIGNALS), Some(split.held_out, SIGNALS)), SAMPLES, 0))
        expect(
            all(isinstance(figure, Figure) and isinstance(figure.value, int | float) for figure in found),
            f"the evaluation {name!r} does not return figures with numbers",
            "return a sequence of ddmi_core.api.Figure, with float(...) values",
            figures=len(found),
            types=sorted({type(getattr(figure, "value", figure)).__name__ for figure in found}),
        )
        names += [figure.name for figure in found]
    repeated = sorted({name for name in names if names.count(name) > 1})
    expect(
        not repeated,
        f"figures of evaluations have the same name: {', '.join(repeated)}",
        "give each figure its own name",
        figures=len(names),
    )


def _conditioned(subject: Subject) -> tuple[RunConfig, latent_cache.Vectors | None]:
    """The configuration of a run on the data, and what its condition gives of the first signals.

    Raises:
        NotApplicable: if the settings name a condition that needs captions which the data lack, or a missing package.
    """
    try:
        config = fitting_condition(subject.parts, subject.config, subject.split)
        condition = build_condition(subject.parts, config)
        return config, None if condition is None else latent_cache.vectors_of(condition, Some(subject.train, SIGNALS))
    except PluginError:
        raise
    except RequestError as reason:
        raise NotApplicable(f"diffusion.condition cannot be used here: {reason}") from reason


def _untrained(subject: Subject) -> Model:
    _ = subject.autoencoder  # an error is reported once
    config, vectors = subject.once("condition", lambda: _conditioned(subject))
    split = Split(Some(subject.split.train, SIGNALS), Some(subject.split.held_out, SIGNALS))
    return rehearsal.untrained(subject.parts, config, split, vectors)[0]


def _autoencoder(subject: Subject) -> Fit:
    """Steps of stage 1 with only the loss at points."""
    vae = subject.config.autoencoder
    # Without the divergence, only the values at points move the weights.
    adversarial, perceptual = evolve(vae.adversarial, start=0), evolve(vae.perceptual, kind="none")
    plain = evolve(vae, kl=0.0, equivariance=0.0, perceptual=perceptual, adversarial=adversarial)
    config = evolve(subject.config, autoencoder=plain)
    model = subject.built(config).train()
    objective = autoencoder_objectives(subject.parts, config, model, subject.split)["autoencoder"]
    return _fit(objective, plain.training, BATCHES)


def _fit(objective: Objective, training: TrainingConfig, batches: int) -> Fit:
    """Steps on one batch with the same random numbers, then gradients on further batches."""
    weights = dict(objective.trained.named_parameters())
    optimiser = torch.optim.Adam(weights.values(), lr=training.rate)
    losses, gradients = [], dict.fromkeys(weights, 0.0)
    before = {name: weight.detach().clone() for name, weight in weights.items()}
    indices = tuple(range(min(4, objective.size)))
    for step in range(STEPS + batches):
        same = step < STEPS
        drawn = indices if same else tuple((step * len(indices) + i) % objective.size for i in indices)
        context = StepContext(0, drawn, generator_for(0, "fit", 0 if same else step), CPU)
        loss = objective(context).total
        optimiser.zero_grad()
        loss.backward()
        for name, weight in weights.items():
            if weight.grad is not None:
                largest = float(weight.grad.abs().max())
                gradients[name] = max(gradients[name], largest if largest == largest else float("inf"))
        torch.nn.utils.clip_grad_norm_(weights.values(), training.clip)
        if same:
            losses.append(float(loss.detach()))
            optimiser.step()
    still = [name for name, weight in weights.items() if gradients[name] and torch.equal(before[name], weight)]
    return Fit(tuple(losses), gradients, tuple(still))


def _falls(fit: Fit, what: str) -> None:
    endless = [name for name, largest in fit.gradients.items() if largest == float("inf")]
    expect(
        not endless,
        f"gradients of the {what} are not finite, such as that of {endless[0] if endless else ''}",
        "avoid square roots and logarithms at 0, and bound exponentials",
        weights=len(endless),
        of=len(fit.gradients),
    )
    expect(
        fit.losses[-1] < fit.losses[0],
        f"the loss of the {what} does not decrease in {len(fit.losses)} steps on one batch",
        "check that the loss is differentiable, that targets belong to their coordinates, and that "
        "the preset's learning rate is not too large",
        first=fit.losses[0],
        last=fit.losses[-1],
    )
