"""Checks of metrics, features and conditions."""

from __future__ import annotations

import torch
from torch import Tensor

from ddmi_core.api.conditions import Condition, TokenSequences
from ddmi_core.api.domain import HIGHER_IS_BETTER
from ddmi_core.errors import CaptionsMissing, RequestError
from ddmi_core.parts.domain_parts import Metric
from ddmi_core.runs.rehearsal import Some
from ddmi_core.testing.check import NotApplicable, Remark, expect
from ddmi_core.testing.contract.learning import SIGNALS
from ddmi_core.testing.grids import own_signal
from ddmi_core.testing.subject import Subject
from ddmi_core.testing.tensors import finite, furthest

CLOSE = 1e-4


def check_metrics(subject: Subject) -> Remark:
    """A metric gives one finite number per signal, the best for a field's own render, in the sense of its name."""
    metrics = subject.parts.metrics()
    if not metrics:
        raise NotApplicable("the domain has no metrics")
    subject.several()
    for name, metric in metrics.items():
        found = _measured(subject, metric, subject.batch)
        expect(
            found.shape == (subject.count,) and finite(found),
            f"the metric {name!r} is not one finite number per signal",
            "reduce over all but the batch: .flatten(1).mean(dim=1)",
            shape=tuple(found.shape),
            wanted=(subject.count,),
            not_finite=int((~found.isfinite()).sum()),
        )
    try:
        own = own_signal(subject)
    except NotApplicable as reason:
        return f"not examined: the signal that a metric prefers: {reason}"
    other = type(own)(own.values.roll(1, dims=0))
    for name, metric in metrics.items():
        better, worse = _measured(subject, metric, own), _measured(subject, metric, other)
        higher = name.endswith(HIGHER_IS_BETTER)
        gain = (better - worse) if higher else (worse - better)
        expect(
            bool((gain > 0).all()),
            f"the metric {name!r} does not prefer a field's own render to another's",
            "compare field i with signal i; lower values are better unless the name ends in "
            f"{', '.join(HIGHER_IS_BETTER)}",
            own=better.tolist(),
            other=worse.tolist(),
            better="higher" if higher else "lower",
        )
    return None


def check_describe(subject: Subject) -> Remark:
    """Fields and signals have the same number of finite features, which are reproducible and differ between signals."""
    subject.several()
    field_features, signal_features = subject.parts.field_features, subject.parts.signal_features
    with torch.no_grad():
        ours, again = field_features(subject.fields), field_features(subject.fields)
        theirs = signal_features(subject.batch)
    for name, found in (("field_features", ours), ("signal_features", theirs)):
        expect(
            found.ndim == 2 and len(found) == subject.count and found.shape[1] >= 1 and finite(found),
            f"{name} does not return finite features (B, F)",
            "return one row of features per field",
            shape=tuple(found.shape),
            fields=subject.count,
        )
    expect(
        ours.shape == theirs.shape,
        "fields and signals have different numbers of features",
        "compute both from one function, as GridDomain.features does",
        of_fields=ours.shape[1],
        of_signals=theirs.shape[1],
    )
    repeated = furthest(ours, again)
    expect(repeated == 0, "features are not reproducible", "draw no random numbers", difference=repeated)
    apart = furthest(theirs[:1], theirs[1:2])
    expect(apart > 0, "different signals have equal features", "compute features that differ", difference=apart)
    try:
        own = own_signal(subject)
    except NotApplicable as reason:
        return f"not examined: features of a field and its render: {reason}"
    apart = furthest(signal_features(own), ours)
    expect(
        apart <= CLOSE,
        "a field and the signal of its native render have different features",
        "compute both from native values with one function",
        difference=apart,
        tolerance=CLOSE,
    )
    return None


def check_conditions(subject: Subject) -> Remark:
    """A condition gives finite vectors (len, F) or (len, K, F), or token sequences, of signals and of example texts."""
    conditions = subject.parts.conditions()
    if not conditions:
        raise NotApplicable("the domain offers no conditions")
    signals = Some(subject.train, SIGNALS)
    left, silent = [], []  # reasons, and names of conditions on captions that the data lack
    for name, build in conditions.items():
        try:
            condition: Condition = build()
            given = condition.of(signals)
        except CaptionsMissing:
            silent.append(f"`{name}`")
            continue
        except RequestError as error:  # an optional package is missing
            left.append(f"{name}: {error}")
            continue
        _valid(condition, given, len(signals), f"the condition {name!r} gives signals")
        for text in list(condition.examples())[:SIGNALS]:
            parsed = condition.parse(text)
            given = parsed if isinstance(parsed, TokenSequences) else parsed[None]
            _valid(condition, given, 1, f"the condition {name!r} gives its own example {text!r}")
        try:
            condition.parse("\N{REPLACEMENT CHARACTER} no such thing")
        except RequestError:
            continue
    examined = len(conditions) - len(left) - len(silent)
    if silent:
        several = len(silent) > 1
        left.insert(
            0,
            f"the condition{'s' * several} {_listed(silent)} need{'s' * (not several)} captions, and the data "
            "have none; classes need no check",
        )
    if not examined:
        raise NotApplicable("; ".join(left))
    return f"not examined: {'; '.join(left)}" if left else None


def _listed(names: list[str]) -> str:
    """Names as a list in words: `a, b and c`."""
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _valid(condition: Condition, given: Tensor | TokenSequences, count: int, what: str) -> None:
    """Check vectors `(len, F)` or `(len, K, F)`, or sequences, of `count` signals or requests."""
    lengths = condition.length, condition.token_length
    if isinstance(given, TokenSequences):
        expect(
            len(given) == count and given.rows.ndim == 2 and given.lengths == lengths,
            f"{what} sequences of wrong lengths",
            "return one sequence for each, with vectors of `length` and tokens of `token_length` numbers",
            sequences=len(given),
            wanted=count,
            lengths=given.lengths,
            declared=lengths,
        )
        expect(
            finite(given.values) and finite(given.vectors),
            f"{what} tokens that are not finite in half precision",
            "scale tokens to about unit size",
            not_finite=int((~given.values.isfinite()).sum()),
        )
        return
    shapes = ((count, condition.length), (count, *given.shape[1:2], condition.length))
    expect(
        not condition.token_length and tuple(given.shape) in shapes and finite(given) and given.is_floating_point(),
        f"{what} vectors of a wrong shape or type, or not finite",
        "return floats (len, F) or (len, K, F), or (F,) for a request, with F = length; with a token_length, return "
        "TokenSequences",
        shape=tuple(given.shape),
        signals=count,
        length=condition.length,
        token_length=condition.token_length,
    )


def _measured(subject: Subject, metric: Metric, signal: object) -> Tensor:
    with torch.no_grad():
        return metric(subject.fields, signal, subject.parts.renderer)
