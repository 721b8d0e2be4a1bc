"""Checks of the losses: the loss at points, and perceptual terms on patches."""

from __future__ import annotations

import torch
from attrs import evolve
from torch import Tensor

from ddmi_core.autoencoder.losses import as_patch
from ddmi_core.errors import ConfigError
from ddmi_core.model.build import initial_weights
from ddmi_core.runs.complete import declares_likelihood
from ddmi_core.testing.check import NotApplicable, Remark, expect
from ddmi_core.testing.offline import offline
from ddmi_core.testing.subject import POINTS, Subject
from ddmi_core.testing.tensors import finite
from ddmi_core.training.objective import generator_for

SPAN = 2.0  # ranges of values to both sides of the middle at which a loss is evaluated
STEPS = 161
SLACK = 1e-5
LOGITS = 4.0  # largest logit at which a loss of labels is evaluated; smoothed labels turn beyond it


def check_loss(subject: Subject) -> None:
    """The loss gives one finite error per point, (B, N), for any values, and depends on every channel."""
    targets = subject.queries(0).targets
    loss = subject.parts.loss
    values = torch.randn(targets.shape, generator=generator_for(0, "values"))
    for given in (values, targets.clone(), 100 * values):
        found = loss(given, targets)
        expect(
            found.shape == targets.shape[:2] and finite(found),
            "the loss is not one finite error per point",
            "reduce over the channels only, with .mean(dim=-1), and return finite errors for any values",
            shape=tuple(found.shape),
            wanted=tuple(targets.shape[:2]),
            not_finite=int((~found.isfinite()).sum()),
        )
    plain = loss(values, targets)
    for channel in range(targets.shape[-1]):
        other = values.clone()
        other[..., channel] += 0.5
        changed = int((loss(other, targets) != plain).sum())
        expect(
            changed > 0,
            "the loss does not depend on a channel",
            "compare all channels",
            channel=channel,
            channels=targets.shape[-1],
        )


def check_loss_is_least_at_the_target(subject: Subject) -> None:
    """As a function of the value, the loss has one minimum, which increases with the target."""
    queries = subject.queries(0)
    targets = queries.targets[(queries.weights > 0).expand(queries.targets.shape[:2])]
    lowest, highest = float(targets.min()), float(targets.max())
    if lowest == highest:
        raise NotApplicable(f"all targets are {lowest:g}, so none can be compared")
    low, high = subject.parts.renderer.limits
    middle, reach = (low + high) / 2, SPAN * (high - low)
    values = torch.linspace(middle - reach, middle + reach, STEPS)
    least = []
    for target in (lowest, highest):
        errors = _along(subject, values, target, targets.shape[-1])
        step = errors.diff()
        place = int(errors.argmin())
        rises, falls = (
            float(step[:place].max().clamp(min=0)) if place else 0.0,
            float((-step[place:]).max().clamp(min=0)) if place < STEPS - 1 else 0.0,
        )
        slack = SLACK * float(errors.max() - errors.min() + 1)
        expect(
            max(rises, falls) <= slack and float(errors.max() - errors.min()) > slack,
            "the loss has more than one minimum along the values, or none",
            "use an error that increases with the distance from the target",
            target=target,
            rises_before=rises,
            falls_after=falls,
        )
        least.append(float(values[place]))
    expect(
        least[0] < least[1],
        "the loss is not minimal at the targets",
        "compare values with targets, with the arguments in this order: loss(values, targets)",
        targets=(lowest, highest),
        least_at=least,
    )


def check_likelihood(subject: Subject) -> Remark:
    """The declared likelihood fits the loss: least at the target itself, or for logits the further out the better."""
    parts = subject.parts
    low, high = parts.limits()
    channels = subject.queries(0).targets.shape[-1]
    if parts.likelihood() == "bernoulli":
        logits = torch.linspace(-LOGITS, LOGITS, STEPS)
        for label, way in ((0.0, 1), (1.0, -1)):
            change = way * _along(subject, logits, label, channels).diff()
            expect(
                float(change.min()) >= -SLACK and float(change.max()) > SLACK,
                "the likelihood is bernoulli, and the loss is not that of logits",
                "return 'gaussian' from likelihood(), or use a loss of logits such as bernoulli_loss",
                label=label,
                rises_towards_the_label=float(-change.min()),
            )
    else:
        reach = SPAN * (high - low)
        around = torch.linspace((low + high) / 2 - reach, (low + high) / 2 + reach, STEPS)
        for target in (low, high):
            values = torch.cat([torch.tensor([target]), around])
            errors = _along(subject, values, target, channels)
            expect(
                float(errors[0]) <= float(errors.min()) + SLACK * float(errors.max() - errors.min() + 1),
                "the likelihood is gaussian, and the loss is lower elsewhere than at the target",
                "define likelihood() and return 'bernoulli' if fields give logits of labels; otherwise let the loss "
                "be least for values that equal their targets",
                target=target,
                error_there=float(errors[0]),
                least=float(errors.min()),
                least_at=float(values[errors.argmin()]),
            )
    if not declares_likelihood(parts):
        return f"likelihood() is not defined beside the domain's own loss, so completions use {parts.likelihood()}"
    return None


def check_perceptual(subject: Subject) -> Remark:
    """A perceptual term gives a finite scalar for patches, with gradients, and is minimal for equal patches."""
    terms = subject.parts.perceptual()
    if not terms:
        raise NotApplicable("the domain offers no perceptual term")
    points = max(POINTS, _points(subject))
    queries = subject.queries(0, points)
    if not queries.patch:
        raise NotApplicable("the sampler draws no patches, which perceptual terms are computed on")
    truth = as_patch(queries.targets, queries.patch)
    noise = torch.randn(truth.shape, generator=generator_for(0, "patch"))
    left = []
    for kind, build in terms.items():
        options = evolve(subject.config.autoencoder.perceptual, kind=kind)
        try:
            with offline(), initial_weights(0, "perceptual"):
                term = build(options)
            equal = term(truth, truth)
        except ConfigError as error:
            left.append(f"{kind}: {error}")
            continue
        values = (truth + 0.3 * noise).requires_grad_()
        found = term(values, truth)
        expect(
            found.ndim == 0 and finite(found) and finite(equal),
            f"the term {kind!r} is not one finite number",
            "reduce over batch, channels and patch, and return a finite value for equal patches",
            shape=tuple(found.shape),
            value=float(found.detach().float().mean()),
        )
        (slope,) = torch.autograd.grad(found, values)
        strongest = float(slope.abs().max())
        expect(
            finite(slope) and strongest > 0,
            f"the term {kind!r} has no finite gradient in the values",
            "compute it from the values with differentiable operations",
            largest=strongest,
        )
        expect(
            float(equal) < float(found.detach()),
            f"the term {kind!r} is not minimal for equal patches",
            "make it increase with the difference of its arguments",
            equal=float(equal),
            different=float(found.detach()),
        )
    if len(left) == len(terms):
        raise NotApplicable("; ".join(left))
    return f"not examined: {'; '.join(left)}" if left else None


def _along(subject: Subject, values: Tensor, target: float, channels: int) -> Tensor:
    """Loss of all values for one target, with equal channels: `(n,)`."""
    given = values[None, :, None].expand(1, -1, channels)
    found: Tensor = subject.parts.loss(given, torch.full_like(given, target))
    return found[0]


def _points(subject: Subject) -> int:
    """Points of a training step; the presets set them so that patches are large enough for the terms."""
    from ddmi_core.settings.resolve import resolve

    return resolve(subject.domain, overrides=subject.settings, data=subject.data).autoencoder.points
