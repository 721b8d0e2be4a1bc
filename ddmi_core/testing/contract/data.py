"""Checks of the data: splits of sources, and the contract of signal sets."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ddmi_core.nested import move
from ddmi_core.testing.check import NotApplicable, Remark, expect
from ddmi_core.testing.grids import levels_of
from ddmi_core.testing.subject import POINTS, Subject
from ddmi_core.testing.tensors import difference, leaves
from ddmi_core.training.objective import generator_for

TRIALS = 6  # generator states for augmentation
SIGNALS = 8
COMPARED = 128  # training signals to compare with held-out ones
CHUNK = 32  # signals in a batch when all are examined
SECONDS = 10.0  # of CPU time for all signals
SLACK = 1e-3  # of the range of values
SHORTEST = 16  # characters of a fingerprint


def check_data_load(subject: Subject) -> None:
    """The default source gives a split: two or more training signals, and one or more held out."""
    split = subject.split
    train, held = len(split.train), len(split.held_out)
    expect(
        train >= 2 and held >= 1,
        "there are too few signals",
        "hold out a share of the signals, and keep at least two for training",
        train=train,
        held_out=held,
    )


def check_names_and_labels(subject: Subject) -> None:
    """Names are unique, labels are class indices, and either all signals have captions or none."""
    for part, signals in (("train", subject.split.train), ("held_out", subject.split.held_out)):
        names, labels = list(signals.names), signals.labels
        expect(
            all(isinstance(name, str) for name in names) and len(set(names)) == len(names) == len(signals),
            f"names of {part} are not one unique text per signal",
            "give each signal its own name",
            signals=len(signals),
            different_names=len(set(names)),
        )
        expect(
            labels.shape == (len(signals),) and not labels.is_floating_point() and labels.dtype != torch.bool,
            f"labels of {part} are not one integer per signal",
            "make labels a tensor (len,) of dtype torch.long; zeros if there are no classes",
            shape=tuple(labels.shape),
            dtype=str(labels.dtype),
            signals=len(signals),
        )
        captions = list(signals.captions)
        expect(
            not captions or (len(captions) == len(signals) and all(captions)),
            f"captions of {part} are not one or more sentences per signal",
            "give every signal a sequence of sentences, or leave captions empty",
            captions=len(captions),
            signals=len(signals),
        )
        most = max(len(signals.classes), 1) - 1
        low, high = int(labels.min()), int(labels.max())
        expect(
            low >= 0 and high <= most,
            f"labels of {part} are not indices of its classes",
            "number the classes from 0, in the order of `classes`",
            lowest=low,
            highest=high,
            classes=len(signals.classes),
        )
    first, second = subject.split.train.classes, subject.split.held_out.classes
    expect(
        tuple(first) == tuple(second) and len(set(first)) == len(first),
        "training and held-out signals have different classes, or class names repeat",
        "give both sets the same tuple of unique names",
        train=tuple(first),
        held_out=tuple(second),
    )


def check_held_out_is_apart(subject: Subject) -> None:
    """No signal is both in the training set and held out."""
    train, held = subject.split.train, subject.split.held_out
    both = sorted(set(train.names) & set(held.names))
    expect(
        not both,
        f"signals are in both sets, such as {both[:1]}",
        "split by a stable hash of names, as ddmi_core.parts.held_out does",
        in_both=len(both),
        held_out=len(held),
    )
    wanted = [held.batch([number]) for number in range(min(SIGNALS, len(held)))]
    for place in range(min(len(train), COMPARED)):
        signal = train.batch([place])
        for number, other in enumerate(wanted):
            expect(
                bool(difference(signal, other)),
                f"the held-out signal {held.names[number]!r} equals the training signal {train.names[place]!r}",
                "remove duplicates before splitting, or split by a key that duplicates share",
                held_out=number,
                train=place,
            )


def check_signals_move(subject: Subject) -> None:
    """A signal is an attrs instance or tuple of tensors, batch first, and can be moved to a device."""
    batch = subject.batch
    found = dict(leaves(batch))
    expect(
        bool(found),
        f"a signal is a {type(batch).__name__} without tensors",
        "make it a frozen attrs class whose fields are tensors, batch first",
        tensors=0,
    )
    wrong = {name: tuple(tensor.shape) for name, tensor in found.items() if tensor.shape[:1] != (subject.count,)}
    expect(
        not wrong,
        "the first axis of tensors is not the batch",
        "stack signals along the first axis",
        batch=subject.count,
        shapes=wrong,
    )
    left = [name for name, tensor in leaves(move(batch, torch.device("meta"))) if tensor.device.type != "meta"]
    expect(not left, f"moving a signal does not move {left}", "let attrs generate the class's __init__", left=len(left))


def check_values(subject: Subject) -> Remark:
    """All values of all signals are finite and within the limits of the domain."""
    low, high = subject.parts.limits()
    slack = SLACK * (high - low)
    started, examined, total = time.process_time(), 0, len(subject.split.train) + len(subject.split.held_out)
    for part, signals in (("training", subject.split.train), ("held-out", subject.split.held_out)):
        for start in range(0, len(signals), CHUNK):
            if examined and time.process_time() - started > SECONDS:
                return f"not examined: {total - examined} of {total} signals, to save time"
            indices = range(start, min(start + CHUNK, len(signals)))
            batch = signals.batch(list(indices))
            for number in _rows(len(indices), [~tensor.isfinite() for _, tensor in leaves(batch)]):
                subject.cause = f"the {part} signal {signals.names[start + number]!r} has values that are not finite"
                expect(
                    False,
                    subject.cause,
                    "leave damaged signals out when they are read, with a warning, or replace the values",
                    signal=start + number,
                    of=len(signals),
                )
            found = _measured(subject, batch)
            for number in _rows(len(indices), [(values < low - slack) | (values > high + slack) for values in found]):
                values = torch.cat([part[number].flatten() for part in found])
                expect(
                    False,
                    f"values of the {part} signal {signals.names[start + number]!r} are outside of the domain's "
                    f"limits, {low:g} to {high:g}",
                    "scale values when signals are read, for example 2 * (x - low) / (high - low) - 1, or give the "
                    "renderer other `limits`; those of a Bernoulli likelihood are 0 and 1",
                    lowest=float(values.min()),
                    highest=float(values.max()),
                    signal=start + number,
                )
            examined += len(indices)
    return None


def _measured(subject: Subject, batch: Any) -> list[Tensor]:
    """Values of signals `(B, ...)`: those of their grids, or else the targets of weight > 0 at some points."""
    try:
        return list(levels_of(batch))
    except NotApplicable:
        queries = subject.parts.sampler.sample(batch, POINTS, generator_for(0, "values"))
        return [queries.targets * (queries.weights > 0).unsqueeze(-1)]


def _rows(count: int, wrong: Sequence[Tensor]) -> list[int]:
    """The first signal of a batch for which any tensor `(B, ...)` has a true value, if there is one."""
    parts = [part.flatten(1).any(dim=1) for part in wrong if part.shape[:1] == (count,) and part.ndim > 1]
    return torch.stack(parts).any(dim=0).nonzero()[:1, 0].tolist() if parts else []


def check_batches_repeat(subject: Subject) -> Remark:
    """Without a generator, a batch depends on its indices alone: not on earlier calls, nor on its other signals."""
    train = subject.train
    indices = list(range(min(SIGNALS, len(train))))
    first = train.batch(indices)
    fix = "draw no random numbers without a generator, and copy signals before augmentation"
    where = difference(first, train.batch(indices))
    expect(not where, f"two batches of the same indices differ: {where}", fix, signals=len(indices))
    train.batch(indices, generator_for(0, "augment"))
    where = difference(first, train.batch(indices))
    expect(not where, f"an augmented batch changed the signals themselves: {where}", fix, signals=len(indices))
    remark = None
    for index in indices:
        alone = dict(leaves(train.batch([index])))
        for name, tensor in leaves(first):
            if alone[name].shape != tensor[index : index + 1].shape:
                remark = f"{name} was not compared: its shape differs between a single signal and a batch"
                continue
            expect(
                torch.equal(alone[name], tensor[index : index + 1]),
                f"signal {index} differs between a single signal and a batch: {name}",
                "return signal indices[i] at position i of batch(indices)",
                index=index,
                values=tensor[index].numel(),
            )
    return remark


def check_augmentation_repeats(subject: Subject) -> None:
    """Batches drawn with equal states of the generator are equal."""
    indices = list(range(min(SIGNALS, len(subject.train))))
    for trial in range(TRIALS):
        first, second = (subject.signals(indices, generator_for(trial, "augment")) for _ in range(2))
        where = difference(first, second)
        expect(
            not where,
            f"two batches drawn with one state of the generator differ: {where}",
            "draw every random number of augmentation from the generator passed to batch()",
            trial=trial,
            signals=len(indices),
        )


def check_fingerprints(subject: Subject) -> None:
    """Fingerprints are hexadecimal digests, equal in every process and different for different sets."""
    if subject.given:
        raise NotApplicable("the signals were passed directly, so no source can load them again")
    names = ("train", "held_out")
    found = (subject.split.train.fingerprint(), subject.split.held_out.fingerprint())
    for name, text in zip(names, found, strict=True):
        expect(
            re.fullmatch(rf"[0-9a-f]{{{SHORTEST},}}", text) is not None,
            f"the fingerprint of {name} is {text!r}",
            "return the hexdigest of hashlib.sha256 over names and values",
            characters=len(text),
        )
    expect(
        found[0] != found[1],
        "training and held-out signals have the same fingerprint",
        "compute the digest of the names and values of the set itself",
        fingerprint=found[0][:12],
    )
    for name, ours, theirs in zip(names, found, subject.process_report.fingerprints, strict=True):
        expect(
            ours == theirs,
            f"the fingerprint of {name} differs between processes",
            "digest contents in a fixed order; hash() and id() differ between processes",
            here=ours[:12],
            there=theirs[:12],
        )
