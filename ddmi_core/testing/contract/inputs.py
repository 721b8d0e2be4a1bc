"""Check that no part changes its inputs in place."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch

from ddmi_core.testing.check import expect
from ddmi_core.testing.subject import POINTS, Subject
from ddmi_core.testing.tensors import copied, difference
from ddmi_core.training.objective import generator_for

# The part with its inputs, the tensors of which must stay; and the call with them.
Call = tuple[str, tuple[Any, ...], Callable[..., object]]


def check_inputs_are_left(subject: Subject) -> None:
    """Encoder, decoder, sampler, renderer, loss, metrics, features, pictures and exporters leave their inputs as is."""
    for build in _CALLS:
        failed = set(subject.failed)
        try:
            calls = list(build(subject))
        except Exception:  # reported by the check of this part
            subject.failed = failed
            continue
        for part, inputs, call in calls:
            kept = copied(inputs)
            try:
                with torch.no_grad():
                    call(*inputs)
            except Exception:
                continue
            where = [difference(item, before) for item, before in zip(inputs, kept, strict=True)]
            if any(where):
                subject.cause = f"{part} changes its input in place"
            expect(
                not any(where),
                f"{part} changes its input in place: {next(filter(None, where), '')}",
                "compute new tensors: x = x * 2 instead of x *= 2, x.add(1) instead of x.add_(1), and clone() before "
                "writing to elements",
                inputs=len(inputs),
            )


def _sampler(subject: Subject) -> Iterator[Call]:
    signal, sampler = subject.batch, subject.parts.sampler
    yield "the sampler", (signal,), lambda signal: sampler.sample(signal, POINTS, generator_for(0, "inputs"))
    one = copied(subject.signals([0]))
    yield "places() of the sampler", (one,), lambda signal: sampler.places(signal, POINTS, generator_for(0, "inputs"))


def _networks(subject: Subject) -> Iterator[Call]:
    yield "the encoder", (subject.batch,), subject.autoencoder.encode
    yield "the decoder", (subject.posterior.mean,), subject.autoencoder.decode


def _renderer(subject: Subject) -> Iterator[Call]:
    renderer = subject.parts.renderer
    yield "observe", (subject.fields, subject.queries(0)), renderer.observe
    yield "render", (subject.fields[0],), renderer.render


def _losses(subject: Subject) -> Iterator[Call]:
    targets = subject.queries(0).targets.contiguous()
    values = targets + 0.3 * torch.randn(targets.shape, generator=generator_for(0, "inputs"))
    yield "the loss", (values, targets), subject.parts.loss


def _measures(subject: Subject) -> Iterator[Call]:
    for name, metric in subject.parts.metrics().items():
        yield f"the metric {name!r}", (subject.fields, subject.batch), partial(_metric, subject, metric)
    yield "field_features", (subject.fields,), subject.parts.field_features
    yield "signal_features", (subject.batch,), subject.parts.signal_features


def _artefacts(subject: Subject) -> Iterator[Call]:
    parts = subject.parts
    yield "ground_truth", (subject.batch,), lambda signal: parts.ground_truth(signal, 0)
    original = copied(parts.ground_truth(subject.batch, 0))
    for artefact in (original, subject.native):
        yield "picture", (artefact,), parts.picture
        for suffix, export in parts.exporters().items():
            path = subject.scratch("inputs") / f"artefact{suffix}"
            yield f"the exporter {suffix!r}", (artefact,), partial(_export, export, path)


_CALLS = (_sampler, _networks, _renderer, _losses, _measures, _artefacts)


def _metric(subject: Subject, metric: Callable[..., object], fields: Any, signal: Any) -> object:
    return metric(fields, signal, subject.parts.renderer)


def _export(export: Callable[..., object], path: Any, artefact: Any) -> object:
    return export(artefact, path)
